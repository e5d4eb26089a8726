"""What a command sweeps, as Optuna's distributions; and what Optuna suggests, as overrides that read as the same."""

from fnmatch import fnmatch

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pgexp.cli.searching.distributions import grid_values, natural, suggested, written
from pgexp.cli.searching.samplers import grid
from pgexp.cli.searching.space import Space, read_space
from pgexp.schema.errors import ConfigError
from tests.cli.searches import read
from tests.conftest import CONF

MAPPED = {
    "interval(0.9,1)": FloatDistribution(0.9, 1.0),
    "interval(-2,3)": FloatDistribution(-2.0, 3.0),
    "tag(log, interval(1e-4, 1e-1))": FloatDistribution(1e-4, 1e-1, log=True),
    "int(interval(1,8))": IntDistribution(1, 8),
    "tag(log, int(interval(1,64)))": IntDistribution(1, 64, log=True),
    "int(tag(log, interval(1,64)))": IntDistribution(1, 64, log=True),
    "range(5)": IntDistribution(0, 4),
    "range(16,128,step=16)": IntDistribution(16, 112, step=16),
    "range(16,129,step=16)": IntDistribution(16, 128, step=16),
    "range(10,0,-3)": IntDistribution(1, 10, step=3),  # 10, 7, 4, 1
    "tag(log, range(1,9))": IntDistribution(1, 8, log=True),
    "range(0.1,0.4,0.1)": FloatDistribution(0.1, 0.3, step=0.1),
    "range(0.3,0.9,0.3)": FloatDistribution(0.3, 0.6, step=0.3),
    "range(0,1,0.25)": FloatDistribution(0.0, 0.75, step=0.25),
    "none,value": CategoricalDistribution(("none", "value")),
    "choice(a,b,a)": CategoricalDistribution(("a", "b")),
    "[16],[16,16]": CategoricalDistribution(("[16]", "[16,16]")),
    "{a:1},{b:2}": CategoricalDistribution(("{a:1}", "{b:2}")),
    "1,1.0,True,null,'1'": CategoricalDistribution(("1", "1.0", "True", "null", "'1'")),
    "'a b','c,d'": CategoricalDistribution(("'a b'", "'c,d'")),
}

REFUSED = {
    "interval(1,1)": "must go from a number to a larger one",
    "interval(2,1)": "must go from a number to a larger one",
    "interval(0,inf)": "must go from a number to a larger one",
    "tag(log, interval(0,1))": "has no logarithm: with log it must begin above 0",
    "tag(log, int(interval(0,9)))": "has no logarithm: with log it must begin above 0",
    "tag(log, range(0,9))": "with log it must begin above 0 and go in steps of 1; an interval needs no steps",
    "tag(log, range(1,9,2))": "with log it must begin above 0 and go in steps of 1; an interval needs no steps",
    "tag(log, choice(1,2))": "a choice has no order: log is for an interval or a range",
    "tag(lgo, interval(1,2))": "there is no tag lgo; the one that is known is log",
    "range(0)": "a sweep over nothing has no runs",
    "range(1,5,0)": "a sweep over nothing has no runs",
    "shuffle(range(5))": "a search has no order that could be shuffled: leave shuffle out",
    "shuffle(choice(a,b))": "a search has no order that could be shuffled: leave shuffle out",
}


def space(*arguments: str, **params: str) -> Space:
    return read_space(arguments, params, None)


def problems(*arguments: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        space(*arguments)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("text", MAPPED)
def test_what_a_key_sweeps_is_a_distribution(text: str) -> None:
    assert space(f"a.b={text}").searched == {"a.b": MAPPED[text]}


@pytest.mark.parametrize("text", REFUSED)
def test_what_can_not_be_searched_is_told_with_its_key_and_what_was_given(text: str) -> None:
    assert problems(f"a.b={text}") == [f"a.b: given {text}; {REFUSED[text]}"]


def test_a_glob_is_a_choice_of_the_options_that_match() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = read_space(["baseline=glob(*mean)"], {}, GlobalHydra.instance().config_loader())
    names = sorted(path.stem for path in (CONF / "baseline").glob("*.yaml") if fnmatch(path.stem, "*mean"))
    assert len(names) == 4
    assert found.searched == {"baseline": CategoricalDistribution(names)}


def test_what_is_not_swept_is_of_every_job_as_it_was_given() -> None:
    given = ("env=acrobot", "~baseline.network", "+optimizer.amsgrad=true", "tracking.uri='a b'", "++x=1")
    found = space(*given, "x.y=0,1")
    assert found.fixed == given
    assert list(found.searched) == ["x.y"]


def test_a_sweep_of_one_value_is_of_every_job() -> None:
    found = space("network=gru,lstm", "network.units=choice(8)")
    assert found.fixed == ("network.units=8",)
    assert list(found.searched) == ["network"]


def test_an_added_key_is_searched_as_added() -> None:
    assert space("+a=0,1").jobs({"+a": "1"}) == [["+a=1"]]


def test_params_of_the_config_are_searched_unless_the_command_sets_them() -> None:
    params = {"a": "interval(0,1)", "b": "1,2", "c": "7", "seed": "range(2)"}
    found = read_space(["b=5", "d=x,y"], params, None)
    assert found.searched == {"a": FloatDistribution(0, 1), "d": CategoricalDistribution(("x", "y"))}
    assert found.fixed == ("b=5", "c=7")
    assert found.seeds == ("0", "1")


@pytest.mark.parametrize(
    ("given", "seeds"),
    [((), ()), (("seed=7",), ("7",)), (("seed=range(3)",), ("0", "1", "2")), (("seed=4,2,4",), ("4", "2"))],
)
def test_seeds_replicate_each_trial_and_are_not_searched(given: tuple[str, ...], seeds: tuple[str, ...]) -> None:
    found = space("a=0,1", *given)
    assert found.seeds == seeds
    assert list(found.searched) == ["a"]
    assert found.runs == max(1, len(seeds))
    assert found.jobs({"a": "1"}) == ([["a=1", f"seed={seed}"] for seed in seeds] or [["a=1"]])


def test_an_interval_of_seeds_is_refused() -> None:
    assert problems("seed=int(interval(0,9))") == [
        "seed: given int(interval(0,9)); seeds are not searched, they replicate each trial: "
        "name them, as in seed='range(3)'"
    ]


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-05, 1e22, 5e-324, 1 / 3, 1.0, -0.0, 123456789.12345678])
def test_a_suggested_float_is_written_with_its_every_bit(value: float) -> None:
    assert repr(read([f"a={written(value)}"])["a"]) == repr(value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,1.0,true,null,'1'", [1, 1.0, True, None, "1"]),
        ("'a b','c,d','it\\'s'", ["a b", "c,d", "it's"]),
        ("[16],[16,16]", [[16], [16, 16]]),
        ("{a:1},{b:[x,y]}", [{"a": 1}, {"b": ["x", "y"]}]),
        ("none,value", ["none", "value"]),
    ],
)
def test_a_suggested_choice_reads_as_what_was_given(text: str, values: list[object]) -> None:
    found = space(f"a={text}")
    choices = found.searched["a"]
    assert isinstance(choices, CategoricalDistribution)
    read_back = [read(job)["a"] for choice in choices.choices for job in found.jobs({"a": str(choice)})]
    assert [(type(value), value) for value in read_back] == [(type(value), value) for value in values]
    assert [natural(str(choice)) for choice in choices.choices] == values


def test_steps_of_a_range_of_floats_are_its_own_numbers() -> None:
    tenths = FloatDistribution(0.1, 0.7, step=0.1)
    assert [suggested(0.1 + 0.1 * step, tenths) for step in range(7)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert suggested(0.1 + 0.2, FloatDistribution(0.0, 1.0)) == 0.1 + 0.2  # an interval has no steps


@pytest.mark.parametrize(
    ("found", "values"),
    [
        (IntDistribution(16, 48, step=16), [16, 32, 48]),
        (FloatDistribution(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        (CategoricalDistribution(("a", "b")), ["a", "b"]),
    ],
)
def test_a_grid_has_every_value(found: BaseDistribution, values: list[object]) -> None:
    assert grid_values("a", found) == values


def test_a_grid_has_every_point_the_last_key_changing_fastest() -> None:
    points = grid({"a": IntDistribution(0, 1), "b": CategoricalDistribution(("x", "y"))})
    assert points == [{"a": 0, "b": "x"}, {"a": 0, "b": "y"}, {"a": 1, "b": "x"}, {"a": 1, "b": "y"}]


def test_an_interval_has_no_grid() -> None:
    with pytest.raises(ConfigError, match=r"^a: an interval has no grid: give a range, or values; "):
        grid({"a": FloatDistribution(0.0, 1.0)})
