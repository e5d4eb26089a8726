"""Space of a search: overrides as distributions, and suggested values as overrides."""

from fnmatch import fnmatch

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pgexp.cli.search.space import Space, grid_values, on_grid, override_text, read_space, yaml_value
from pgexp.cli.search.study import grid
from pgexp.schema.errors import UserError
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
    "interval(1,1)": "must be from a finite number to a larger one",
    "interval(2,1)": "must be from a finite number to a larger one",
    "interval(0,inf)": "must be from a finite number to a larger one",
    "tag(log, interval(0,1))": "must begin above 0 for a logarithmic scale",
    "tag(log, int(interval(0,9)))": "must begin above 0 for a logarithmic scale",
    "tag(log, range(0,9))": "must begin above 0 and have the step 1",
    "tag(log, range(1,9,2))": "must begin above 0 and have the step 1",
    "tag(log, choice(1,2))": "log needs an interval or a range",
    "tag(lgo, interval(1,2))": "unknown tag lgo",
    "range(0)": "must have at least one value",
    "range(1,5,0)": "must have at least one value",
    "shuffle(range(5))": "cannot be shuffled in a search",
    "shuffle(choice(a,b))": "cannot be shuffled in a search",
}


def space(*arguments: str, **params: str) -> Space:
    return read_space(arguments, params, None)


def problems(*arguments: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        space(*arguments)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("text", MAPPED)
def test_sweeps_become_distributions(text: str) -> None:
    assert space(f"a.b={text}").searched == {"a.b": MAPPED[text]}


@pytest.mark.parametrize("text", REFUSED)
def test_values_that_cannot_be_searched(text: str) -> None:
    (problem,) = problems(f"a.b={text}")
    assert problem.startswith(f"a.b: {REFUSED[text]}")
    assert f"(got {text})" in problem


def test_glob_is_a_choice_of_matching_options() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = read_space(["baseline=glob(*mean)"], {}, GlobalHydra.instance().config_loader())
    names = sorted(path.stem for path in (CONF / "baseline").glob("*.yaml") if fnmatch(path.stem, "*mean"))
    assert len(names) == 4
    assert found.searched == {"baseline": CategoricalDistribution(names)}


def test_other_overrides_are_in_every_job() -> None:
    given = ("env=acrobot", "~baseline.network", "+optimizer.amsgrad=true", "tracking.uri='a b'", "++x=1")
    found = space(*given, "x.y=0,1")
    assert found.fixed == given
    assert list(found.searched) == ["x.y"]


def test_sweep_over_one_value_is_in_every_job() -> None:
    found = space("network=gru,lstm", "network.units=choice(8)")
    assert found.fixed == ("network.units=8",)
    assert list(found.searched) == ["network"]


def test_added_key_is_searched_with_its_prefix() -> None:
    assert space("+a=0,1").jobs({"+a": "1"}) == [["+a=1"]]


def test_config_params_are_searched_unless_overridden() -> None:
    params = {"a": "interval(0,1)", "b": "1,2", "c": "7", "seed": "range(2)"}
    found = read_space(["b=5", "d=x,y"], params, None)
    assert found.searched == {"a": FloatDistribution(0, 1), "d": CategoricalDistribution(("x", "y"))}
    assert found.fixed == ("b=5", "c=7")
    assert found.seeds == ("0", "1")


@pytest.mark.parametrize(
    ("given", "seeds"),
    [((), ()), (("seed=7",), ("7",)), (("seed=range(3)",), ("0", "1", "2")), (("seed=4,2,4",), ("4", "2"))],
)
def test_seeds_are_replications(given: tuple[str, ...], seeds: tuple[str, ...]) -> None:
    found = space("a=0,1", *given)
    assert found.seeds == seeds
    assert list(found.searched) == ["a"]
    assert found.runs == max(1, len(seeds))
    assert found.jobs({"a": "1"}) == ([["a=1", f"seed={seed}"] for seed in seeds] or [["a=1"]])


def test_interval_of_seeds_is_refused() -> None:
    (problem,) = problems("seed=int(interval(0,9))")
    assert problem.startswith("seed: must be a list of seeds")
    assert "(got int(interval(0,9)))" in problem


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-05, 1e22, 5e-324, 1 / 3, 1.0, -0.0, 123456789.12345678])
def test_float_keeps_all_bits_in_an_override(value: float) -> None:
    assert repr(read([f"a={override_text(value)}"])["a"]) == repr(value)


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
def test_choice_is_parsed_as_its_original_value(text: str, values: list[object]) -> None:
    found = space(f"a={text}")
    choices = found.searched["a"]
    assert isinstance(choices, CategoricalDistribution)
    read_back = [read(job)["a"] for choice in choices.choices for job in found.jobs({"a": str(choice)})]
    assert [(type(value), value) for value in read_back] == [(type(value), value) for value in values]
    assert [yaml_value(str(choice)) for choice in choices.choices] == values


def test_range_of_floats_has_exact_values() -> None:
    tenths = FloatDistribution(0.1, 0.7, step=0.1)
    assert [on_grid(0.1 + 0.1 * step, tenths) for step in range(7)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert on_grid(0.1 + 0.2, FloatDistribution(0.0, 1.0)) == 0.1 + 0.2  # an interval has no steps


@pytest.mark.parametrize(
    ("found", "values"),
    [
        (IntDistribution(16, 48, step=16), [16, 32, 48]),
        (FloatDistribution(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        (CategoricalDistribution(("a", "b")), ["a", "b"]),
    ],
)
def test_grid_has_every_value(found: BaseDistribution, values: list[object]) -> None:
    assert grid_values("a", found) == values


def test_grid_has_every_point_in_order() -> None:
    points = grid({"a": IntDistribution(0, 1), "b": CategoricalDistribution(("x", "y"))})
    assert points == [{"a": 0, "b": "x"}, {"a": 0, "b": "y"}, {"a": 1, "b": "x"}, {"a": 1, "b": "y"}]


def test_interval_has_no_grid() -> None:
    with pytest.raises(UserError, match=r"^a: must be a range or a list of values for a grid"):
        grid({"a": FloatDistribution(0.0, 1.0)})
