"""Parsing of a config: typed values, and every mistake at once, each with its key."""

from pathlib import Path
from typing import Any

import pytest

from pgexp.schema.config import Option
from pgexp.schema.errors import ConfigError
from pgexp.schema.parse import parse
from pgexp.schema.signatures import parameters
from tests.schema.conftest import Given


def problems(config: dict[str, Any]) -> dict[str, str]:
    """Return what parsing a config objects to, by key."""
    with pytest.raises(ConfigError) as caught:
        parse(config)
    return {problem.key: problem.text for problem in caught.value.problems}


def test_what_is_given_is_typed(given: Given) -> None:
    changes = {"seed": 3, "optimizer.betas": [0.5, 0.9], "baseline.network.widths": [7], "algorithm.batch.episodes": 6}
    run = parse(given(changes), {"baseline": "value"})
    assert (run.seed, run.dtype, run.schedule.name) == (3, "float32", "Linear")
    assert (run.batch.steps, run.batch.episodes, run.num_envs) == (None, 6, 6)
    assert run.optimizer.target == "torch.optim.Adam"
    assert run.optimizer.arguments["betas"] == (0.5, 0.9)
    assert run.choices == {"baseline": "value"}
    network = run.baseline.arguments["network"]
    assert isinstance(network, Option)
    assert network.name == "MLP"
    assert network.arguments["widths"] == [7]


def test_without_choices_the_classes_names_stand_in(given: Given) -> None:
    assert parse(given()).choices == {
        "network": "MLP",
        "head": "AutomaticHead",
        "schedule": "Linear",
        "optimizer": "Adam",
        "baseline": "ValueNetwork",
        "algorithm": "Reinforce",
    }


def test_what_is_read_apart_is_no_argument_of_the_option(given: Given) -> None:
    run = parse(given())
    assert "batch" not in run.algorithm.arguments
    assert "_target_" not in run.algorithm.arguments


def test_whole_numbers_stand_for_floats(given: Given) -> None:
    rate = parse(given({"optimizer.lr": 1})).optimizer.arguments["lr"]
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("seed", -1, "given -1; must be a whole number at least 0"),
        ("seed", True, "given True; must be a whole number at least 0"),
        ("seed", 1.0, "given 1.0; must be a whole number at least 0"),
        ("seed", None, "given None; must be a whole number at least 0"),
        ("dtype", "float16", "given 'float16'; must be one of float32, float64"),
        ("budget.steps", 0, "given 0; must be a whole number greater than 0 or null"),
        ("env.id", 3, "given 3; must be a text"),
        ("env.kwargs", [], "given []; must be a mapping"),
        ("network.widths", 64, "given 64; must be a list, each a whole number greater than 0"),
        ("network.output_gain", -0.5, "given -0.5; must be a number at least 0"),
        ("optimizer.lr", 0, "given 0; must be a number greater than 0"),
        ("optimizer.lr", "fast", "given 'fast'; must be a number greater than 0"),
        ("schedule.final", 2, "given 2; must be a number at least 0 and at most 1"),
        ("diagnostics", "some", "given 'some'; must be one of full, light, off"),
        ("optimizer.betas", [0.9], "given [0.9]; must be a list of 2: a number, a number"),
        ("baseline.fit_steps", 0, "given 0; must be a whole number greater than 0"),
        ("baseline.network", "mlp", "given 'mlp'; must be a mapping with its own _target_"),
        ("baseline.network.activation", "swish", "given 'swish'; must be one of relu, tanh, leaky_relu"),
        ("algorithm.gamma", 1.01, "given 1.01; must be a number at least 0 and at most 1"),
        ("algorithm.max_grad_norm", 0.0, "given 0.0; must be a number greater than 0 or null"),
        ("algorithm.discount_states", 1, "given 1; must be true or false"),
        ("algorithm.batch.episodes", 2.5, "given 2.5; must be a whole number greater than 0 or null"),
        ("algorithm.batch", 8, "given 8; must be a mapping of keys"),
        ("evaluation.greedy", "no", "given 'no'; must be true or false"),
        ("tracking.points", 0, "given 0; must be a whole number greater than 0"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_what_is_allowed(given: Given, key: str, value: Any, text: str) -> None:
    assert problems(given({key: value})) == {key: text}


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("sede", "seed"),
        ("budget.step", "steps"),
        ("env.num_env", "num_envs"),
        ("network.width", "widths"),
        ("optimizer.learning_rate", None),
        ("optimizer.epz", "eps"),
        ("baseline.fit_step", "fit_steps"),
        ("baseline.network.activatoin", "activation"),
        ("algorithm.gama", "gamma"),
        ("algorithm.batch.episode", "episodes"),
        ("evaluation.evry", "every"),
        ("tracking.url", "uri"),
    ],
)
def test_a_misspelt_key_is_told_with_the_nearest_name(given: Given, key: str, meant: str | None) -> None:
    ((found, text),) = problems(given({key: 1})).items()
    assert found == key
    assert text.startswith("unknown key (given 1).")
    assert ("Did you mean" in text) == (meant is not None)
    assert meant is None or f"Did you mean {meant!r}?" in text


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("network.widths", "a list, each a whole number greater than 0"),
        ("optimizer.lr", "a number greater than 0"),
        ("baseline.network.hidden_gain", "a number greater than 0"),
        ("algorithm.time_limit", "one of end, bootstrap"),
        ("tracking.experiment", "a text"),
        ("env.id", "a text"),
    ],
)
def test_a_missing_key_is_told_and_never_becomes_none(given: Given, key: str, allowed: str) -> None:
    config = given()
    *path, last = key.split(".")
    section = config
    for name in path:
        section = section[name]
    del section[last]
    assert problems(config) == {key: f"missing; must be {allowed}"}


def test_all_problems_of_all_parts_are_told_at_once(given: Given) -> None:
    wrong = {
        "seed": -1,
        "network.widths": [0],
        "optimizer.lr": 0,
        "baseline.network.activation": "swish",
        "algorithm.gamma": 2,
        "algorithm.batch.episodes": 0,
        "evaluation.num_envs": 0,
        "extra": 1,
    }
    assert problems(given(wrong)).keys() == wrong.keys()


def test_an_error_shows_a_line_a_problem(given: Given) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(given({"seed": -1, "algorithm.gamma": 2}))
    assert sorted(str(caught.value).splitlines()) == [
        "algorithm.gamma: given 2; must be a number at least 0 and at most 1",
        "seed: given -1; must be a whole number at least 0",
    ]


@pytest.mark.parametrize("group", ["env", "network", "optimizer", "baseline", "algorithm", "evaluation", "tracking"])
def test_a_group_that_is_missing_is_told(given: Given, group: str) -> None:
    config = given()
    del config[group]
    assert problems(config)[group] == "given None; must be a mapping of keys"


@pytest.mark.parametrize("handed", ["baseline.seed", "baseline.inputs", "network.outputs", "optimizer.params"])
def test_what_assembly_hands_in_cannot_be_configured(given: Given, handed: str) -> None:
    assert problems(given({handed: 1}))[handed].startswith("unknown key")


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon"])
def test_an_optimizer_that_cannot_work_is_refused_with_the_reason(given: Given, name: str) -> None:
    text = problems(given({"optimizer": {"_target_": f"torch.optim.{name}", "lr": 0.1}}))["optimizer"]
    assert text.startswith(f"{name} is not supported: it ")


@pytest.mark.parametrize("name", ["maximize", "capturable", "differentiable"])
def test_an_optimizers_argument_that_cannot_work_is_refused_with_the_reason(given: Given, name: str) -> None:
    found = problems(given({f"optimizer.{name}": True}))
    assert found.keys() == {f"optimizer.{name}"}
    assert found[f"optimizer.{name}"].startswith("not supported: ")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("torch.optim.Adamm", "there is no class 'Adamm' in the module 'torch.optim'"),
        ("torhc.optim.Adam", "there is no module 'torhc' on the import path"),
        ("Adam", "is no import path of a class"),
        (None, "must be the import path of a class"),
    ],
)
def test_a_target_that_is_not_there_is_told(given: Given, target: str | None, words: str) -> None:
    assert words in problems(given({"optimizer._target_": target}))["optimizer._target_"]


@pytest.mark.parametrize("name", ["pole/1", "models:pole", " "])
def test_a_name_that_no_model_can_have_is_told(given: Given, name: str) -> None:
    assert "MLflow takes a name without" in problems(given({"registry.name": name}))["registry.name"]


class TestContradictions:
    """Values that are right by themselves and contradict each other."""

    @pytest.mark.parametrize("pair", ["budget", "algorithm.batch"])
    def test_steps_and_episodes_exclude_each_other(self, given: Given, pair: str) -> None:
        both = problems(given({f"{pair}.steps": 64, f"{pair}.episodes": 8}))
        neither = problems(given({f"{pair}.steps": None, f"{pair}.episodes": None}))
        assert "exclude each other" in both[pair]
        assert "set one of them" in neither[pair]

    def test_num_envs_divides_the_batchs_episodes(self, given: Given) -> None:
        text = problems(given({"env.num_envs": 3, "algorithm.batch.episodes": 8}))["env.num_envs"]
        assert text.startswith("must divide algorithm.batch.episodes=8")
        assert text.endswith("(got 3)")
        assert parse(given({"env.num_envs": 4, "algorithm.batch.episodes": 8})).num_envs == 4

    def test_num_envs_of_segments_is_free(self, given: Given) -> None:
        assert parse(given({"env.num_envs": 3, "algorithm.batch": {"steps": 64}})).num_envs == 3

    def test_a_film_needs_an_episode_to_show(self, given: Given) -> None:
        wrong = given({"evaluation.video": True, "evaluation.final_episodes": 0})
        assert problems(wrong) == {"evaluation.video": "true needs evaluation.final_episodes of at least 1"}


class TestOwnDynamics:
    """`env.dynamics`, a user's own compiled dynamics."""

    MODULE = """
raise RuntimeError("imported")

class Base:
    def __init__(self, size: PositiveInt = 3) -> None: ...

class Lake(Base):
    def __init__(self, slip: Fraction, size: PositiveInt = 3) -> None: ...
"""

    @pytest.fixture(autouse=True)
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "lakes.py").write_text(self.MODULE)
        monkeypatch.syspath_prepend(tmp_path)
        parameters.cache_clear()

    def test_it_is_an_option_of_the_environment(self, given: Given) -> None:
        run = parse(given({"env.dynamics": {"_target_": "lakes.Lake", "slip": 0.5}}))
        assert run.env.dynamics == Option("lakes.Lake", {"slip": 0.5})
        assert parse(given()).env.dynamics is None
        assert parse(given({"env.dynamics": None})).env.dynamics is None

    def test_the_id_is_only_a_name(self, given: Given) -> None:
        """It may name no environment of Gymnasium, and one that exists changes nothing."""
        dynamics = {"_target_": "lakes.Lake", "slip": 0.5}
        for name in ("my lake", "Pendulum-v1"):
            run = parse(given({"env.id": name, "env.dynamics": dynamics}))
            assert (run.env.id, run.env.dynamics) == (name, Option("lakes.Lake", {"slip": 0.5}))

    def test_its_arguments_are_checked(self, given: Given) -> None:
        wrong = given({"env.dynamics": {"_target_": "lakes.Lake", "slip": 2, "sise": 4}})
        assert problems(wrong) == {
            "env.dynamics.slip": "given 2; must be a number at least 0 and at most 1",
            "env.dynamics.sise": "unknown key (given 4). Did you mean 'size'? Known here: size, slip.",
        }
        missing = problems(given({"env.dynamics": {"_target_": "lakes.Lake"}}))
        assert missing == {"env.dynamics.slip": "missing; must be a number at least 0 and at most 1"}

    @pytest.mark.parametrize(
        ("dynamics", "key", "words"),
        [
            ({"_target_": "lakes.Lakes"}, "env.dynamics._target_", "there is no class 'Lakes' in the module 'lakes'"),
            ({"_target_": "laks.Lake"}, "env.dynamics._target_", "there is no module 'laks' on the import path"),
            ({"slip": 0.5}, "env.dynamics._target_", "must be the import path of a class"),
            ("lakes.Lake", "env.dynamics", "must be a mapping with its own _target_, or null (got 'lakes.Lake')"),
        ],
    )
    def test_a_wrong_target_is_reported(self, given: Given, dynamics: Any, key: str, words: str) -> None:
        assert words in problems(given({"env.dynamics": dynamics}))[key]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("env.kwargs", {"size": 4}),
            ("env.wrappers", [{"_target_": "gymnasium.wrappers.FrameStackObservation", "stack_size": 3}]),
        ],
    )
    def test_arguments_of_gymnasium_environments_are_refused(self, given: Given, key: str, value: Any) -> None:
        dynamics = {"_target_": "lakes.Lake", "slip": 0.5}
        assert problems(given({"env.dynamics": dynamics, key: value})) == {
            "env.dynamics": "takes neither env.kwargs nor env.wrappers: set its own arguments"
        }

    @pytest.mark.parametrize(
        ("name", "allowed"),
        [("auto", True), ("compiled", True), ("sync", True), ("async", True), ("native", False)],
    )
    def test_the_words_for_vectorization(self, given: Given, name: str, allowed: bool) -> None:
        config = given({"env.vectorization": name})
        if allowed:
            assert parse(config).env.vectorization == name
        else:
            assert problems(config) == {
                "env.vectorization": "given 'native'; must be one of auto, compiled, sync, async"
            }


class TestOwnOptions:
    """Options of a user's own module are checked like the shipped ones."""

    @pytest.fixture(autouse=True)
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mine.py").write_text(MINE)
        monkeypatch.syspath_prepend(tmp_path)
        parameters.cache_clear()

    def test_their_arguments_are_checked(self, given: Given) -> None:
        wrong = given({"baseline": {"_target_": "mine.Decaying", "rate": 2, "stepz": 1}})
        assert problems(wrong) == {
            "baseline.rate": "given 2; must be a number at least 0 and at most 1",
            "baseline.stepz": "unknown key (given 1). Did you mean 'steps'? Known here: rate, steps.",
        }

    def test_their_defaults_need_not_be_given(self, given: Given) -> None:
        run = parse(given({"baseline": {"_target_": "mine.Decaying", "rate": 0.5}}))
        assert run.baseline == Option("mine.Decaying", {"rate": 0.5})

    def test_a_nested_option_may_have_any_name(self, given: Given) -> None:
        critic = {"_target_": "pgexp.networks.linear.Linear", "bias": True, "initialization": "zeros", "gain": 1.0}
        run = parse(given({"baseline": {"_target_": "mine.Critic", "critic": critic}}))
        assert run.baseline.arguments["critic"].name == "Linear"

    def test_a_nested_option_may_be_optional(self, given: Given) -> None:
        critic = {"_target_": "pgexp.networks.linear.Linear", "bias": True, "initialization": "zeros", "gain": 1.0}
        with_one = parse(given({"baseline": {"_target_": "mine.Perhaps", "critic": critic}}))
        assert with_one.baseline.arguments["critic"].name == "Linear"
        without = parse(given({"baseline": {"_target_": "mine.Perhaps", "critic": None}}))
        assert without.baseline.arguments == {"critic": None}
        assert problems(given({"baseline": {"_target_": "mine.Perhaps", "critic": 3}})) == {
            "baseline.critic": "given 3; must be a mapping with its own _target_ or null"
        }

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_a_number_is_finite(self, given: Given, number: float) -> None:
        wrong = given({"baseline": {"_target_": "mine.Decaying", "rate": number}})
        assert [*problems(wrong)] == ["baseline.rate"]


MINE = """
raise RuntimeError("imported")

class Decaying:
    def __init__(self, seed: int, rate: Fraction, steps: PositiveInt = 3) -> None: ...

class Critic:
    def __init__(self, inputs: int, critic: Factory) -> None: ...

class Perhaps:
    def __init__(self, critic: Factory | None) -> None: ...
"""
