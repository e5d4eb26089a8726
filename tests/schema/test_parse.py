"""Parsing of configs: typed values, and problems with their keys."""

from pathlib import Path
from typing import Any

import pytest

from pgexp.schema.config import Option
from pgexp.schema.errors import UserError
from pgexp.schema.parse import parse
from pgexp.schema.signatures import parameters
from tests.schema.conftest import Given


def problems(config: dict[str, Any]) -> dict[str, str]:
    """Return the problems of a config by key."""
    with pytest.raises(UserError) as caught:
        parse(config)
    return {problem.key: problem.text for problem in caught.value.problems}


def test_typed_config(given: Given) -> None:
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


def test_default_choices_are_class_names(given: Given) -> None:
    assert parse(given()).choices == {
        "network": "MLP",
        "head": "AutomaticHead",
        "schedule": "Linear",
        "optimizer": "Adam",
        "baseline": "ValueNetwork",
        "algorithm": "Reinforce",
    }


def test_batch_is_not_an_argument_of_the_algorithm(given: Given) -> None:
    run = parse(given())
    assert "batch" not in run.algorithm.arguments
    assert "_target_" not in run.algorithm.arguments


def test_integers_are_converted_to_floats(given: Given) -> None:
    rate = parse(given({"optimizer.lr": 1})).optimizer.arguments["lr"]
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("seed", -1, "must be a whole number at least 0 (got -1)"),
        ("seed", True, "must be a whole number at least 0 (got True)"),
        ("seed", 1.0, "must be a whole number at least 0 (got 1.0)"),
        ("seed", None, "must be a whole number at least 0 (got None)"),
        ("dtype", "float16", "must be one of float32, float64 (got 'float16')"),
        ("budget.steps", 0, "must be a whole number greater than 0 or null (got 0)"),
        ("env.id", 3, "must be a string (got 3)"),
        ("env.kwargs", [], "must be a mapping (got [])"),
        ("network.widths", 64, "must be a list, each a whole number greater than 0 (got 64)"),
        ("network.output_gain", -0.5, "must be a number at least 0 (got -0.5)"),
        ("optimizer.lr", 0, "must be a number greater than 0 (got 0)"),
        ("optimizer.lr", "fast", "must be a number greater than 0 (got 'fast')"),
        ("schedule.final", 2, "must be a number at least 0 and at most 1 (got 2)"),
        ("diagnostics", "some", "must be one of full, light, off (got 'some')"),
        ("optimizer.betas", [0.9], "must be a list of 2: a number, a number (got [0.9])"),
        ("baseline.value_updates", 0, "must be a whole number greater than 0 (got 0)"),
        ("baseline.network", "mlp", "must be a mapping with its own _target_ (got 'mlp')"),
        ("baseline.network.activation", "swish", "must be one of relu, tanh, leaky_relu (got 'swish')"),
        ("algorithm.gamma", 1.01, "must be a number at least 0 and at most 1 (got 1.01)"),
        ("algorithm.max_grad_norm", 0.0, "must be a number greater than 0 or null (got 0.0)"),
        ("algorithm.discount_states", 1, "must be true or false (got 1)"),
        ("algorithm.batch.episodes", 2.5, "must be a whole number greater than 0 or null (got 2.5)"),
        ("algorithm.batch", 8, "must be a mapping of keys (got 8)"),
        ("evaluation.greedy", "no", "must be true or false (got 'no')"),
        ("tracking.max_points", 0, "must be a whole number greater than 0 (got 0)"),
    ],
)
def test_wrong_values(given: Given, key: str, value: Any, text: str) -> None:
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
        ("baseline.value_update", "value_updates"),
        ("baseline.network.activatoin", "activation"),
        ("algorithm.gama", "gamma"),
        ("algorithm.batch.episode", "episodes"),
        ("evaluation.evry", "every"),
        ("tracking.url", "uri"),
    ],
)
def test_misspelt_keys(given: Given, key: str, meant: str | None) -> None:
    ((found, text),) = problems(given({key: 1})).items()
    assert found == key
    assert text.startswith("unknown key (got 1).")
    assert ("Did you mean" in text) == (meant is not None)
    assert meant is None or f"Did you mean {meant!r}?" in text


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("network.widths", "a list, each a whole number greater than 0"),
        ("optimizer.lr", "a number greater than 0"),
        ("baseline.network.hidden_gain", "a number greater than 0"),
        ("algorithm.time_limit", "one of end, bootstrap"),
        ("tracking.experiment", "a string"),
        ("env.id", "a string"),
    ],
)
def test_missing_keys(given: Given, key: str, allowed: str) -> None:
    config = given()
    *path, last = key.split(".")
    section = config
    for name in path:
        section = section[name]
    del section[last]
    assert problems(config) == {key: f"is missing. Set it to {allowed}"}


def test_all_problems_of_all_sections_are_reported(given: Given) -> None:
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


def test_one_line_per_problem(given: Given) -> None:
    with pytest.raises(UserError) as caught:
        parse(given({"seed": -1, "algorithm.gamma": 2}))
    assert sorted(str(caught.value).splitlines()) == [
        "algorithm.gamma: must be a number at least 0 and at most 1 (got 2)",
        "seed: must be a whole number at least 0 (got -1)",
    ]


@pytest.mark.parametrize("group", ["env", "network", "optimizer", "baseline", "algorithm", "evaluation", "tracking"])
def test_missing_group(given: Given, group: str) -> None:
    config = given()
    del config[group]
    assert problems(config)[group] == "must be a mapping of keys (got None)"


@pytest.mark.parametrize("handed", ["baseline.seed", "baseline.inputs", "network.outputs", "optimizer.params"])
def test_supplied_arguments_cannot_be_set(given: Given, handed: str) -> None:
    assert problems(given({handed: 1}))[handed].startswith("unknown key")


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon"])
def test_unsupported_optimizers(given: Given, name: str) -> None:
    text = problems(given({"optimizer": {"_target_": f"torch.optim.{name}", "lr": 0.1}}))["optimizer"]
    assert text.startswith(f"{name} is not supported, because it ")


@pytest.mark.parametrize("name", ["maximize", "capturable", "differentiable"])
def test_unsupported_arguments_of_optimizers(given: Given, name: str) -> None:
    found = problems(given({f"optimizer.{name}": True}))
    assert found.keys() == {f"optimizer.{name}"}
    assert found[f"optimizer.{name}"].startswith("is not supported, because ")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("torch.optim.Adamm", "module 'torch.optim' (__init__.py) has no class 'Adamm'"),
        ("torhc.optim.Adam", "no module 'torhc' on the import path"),
        ("Adam", "must be an import path"),
        (None, "must be the import path of a class"),
    ],
)
def test_wrong_targets(given: Given, target: str | None, words: str) -> None:
    assert words in problems(given({"optimizer._target_": target}))["optimizer._target_"]


@pytest.mark.parametrize("name", ["pole/1", "models:pole", " "])
def test_invalid_model_names(given: Given, name: str) -> None:
    assert "must be a name without" in problems(given({"registry.name": name}))["registry.name"]


class TestContradictions:
    """Valid values that contradict each other."""

    @pytest.mark.parametrize("pair", ["budget", "algorithm.batch"])
    def test_steps_and_episodes_exclude_each_other(self, given: Given, pair: str) -> None:
        both = problems(given({f"{pair}.steps": 64, f"{pair}.episodes": 8}))
        neither = problems(given({f"{pair}.steps": None, f"{pair}.episodes": None}))
        assert "got steps=64 and episodes=8" in both[pair]
        assert "got neither" in neither[pair]

    def test_num_envs_divides_the_batchs_episodes(self, given: Given) -> None:
        text = problems(given({"env.num_envs": 3, "algorithm.batch.episodes": 8}))["env.num_envs"]
        assert text.startswith("must divide algorithm.batch.episodes=8")
        assert text.endswith("(got 3)")
        assert parse(given({"env.num_envs": 4, "algorithm.batch.episodes": 8})).num_envs == 4

    def test_num_envs_of_segments_is_free(self, given: Given) -> None:
        assert parse(given({"env.num_envs": 3, "algorithm.batch": {"steps": 64}})).num_envs == 3

    def test_video_needs_a_final_episode(self, given: Given) -> None:
        wrong = given({"evaluation.video": True, "evaluation.final_episodes": 0})
        assert problems(wrong) == {
            "evaluation.video": "needs a final evaluation. Set evaluation.final_episodes to at least 1"
        }


class TestOwnDynamics:
    """`env.dynamics`, a user's compiled dynamics."""

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

    def test_dynamics_are_an_option(self, given: Given) -> None:
        run = parse(given({"env.dynamics": {"_target_": "lakes.Lake", "slip": 0.5}}))
        assert run.env.dynamics == Option("lakes.Lake", {"slip": 0.5})
        assert parse(given()).env.dynamics is None
        assert parse(given({"env.dynamics": None})).env.dynamics is None

    def test_id_is_only_a_name(self, given: Given) -> None:
        """It need not exist in Gymnasium, and an existing one has no effect."""
        dynamics = {"_target_": "lakes.Lake", "slip": 0.5}
        for name in ("my lake", "Pendulum-v1"):
            run = parse(given({"env.id": name, "env.dynamics": dynamics}))
            assert (run.env.id, run.env.dynamics) == (name, Option("lakes.Lake", {"slip": 0.5}))

    def test_arguments_of_dynamics_are_checked(self, given: Given) -> None:
        wrong = given({"env.dynamics": {"_target_": "lakes.Lake", "slip": 2, "sise": 4}})
        assert problems(wrong) == {
            "env.dynamics.slip": "must be a number at least 0 and at most 1 (got 2)",
            "env.dynamics.sise": "unknown key (got 4). Did you mean 'size'? Known keys: size, slip.",
        }
        missing = problems(given({"env.dynamics": {"_target_": "lakes.Lake"}}))
        assert missing == {"env.dynamics.slip": "is missing. Set it to a number at least 0 and at most 1"}

    @pytest.mark.parametrize(
        ("dynamics", "key", "words"),
        [
            ({"_target_": "lakes.Lakes"}, "env.dynamics._target_", "module 'lakes' (lakes.py) has no class 'Lakes'"),
            ({"_target_": "laks.Lake"}, "env.dynamics._target_", "no module 'laks' on the import path"),
            ({"slip": 0.5}, "env.dynamics._target_", "must be the import path of a class"),
            ("lakes.Lake", "env.dynamics", "must be a mapping with a _target_, or null (got 'lakes.Lake')"),
        ],
    )
    def test_wrong_target_of_dynamics(self, given: Given, dynamics: Any, key: str, words: str) -> None:
        assert words in problems(given({"env.dynamics": dynamics}))[key]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("env.kwargs", {"size": 4}),
            ("env.wrappers", [{"_target_": "gymnasium.wrappers.FrameStackObservation", "stack_size": 3}]),
        ],
    )
    def test_gymnasium_arguments_are_refused(self, given: Given, key: str, value: Any) -> None:
        dynamics = {"_target_": "lakes.Lake", "slip": 0.5}
        assert problems(given({"env.dynamics": dynamics, key: value})) == {
            "env.dynamics": "excludes env.kwargs and env.wrappers. Set the arguments of the dynamics instead"
        }

    @pytest.mark.parametrize(
        ("name", "allowed"),
        [("auto", True), ("compiled", True), ("sync", True), ("async", True), ("native", False)],
    )
    def test_values_of_vectorization(self, given: Given, name: str, allowed: bool) -> None:
        config = given({"env.vectorization": name})
        if allowed:
            assert parse(config).env.vectorization == name
        else:
            assert problems(config) == {
                "env.vectorization": "must be one of auto, compiled, sync, async (got 'native')"
            }


class TestOwnOptions:
    """Options in a user's module are checked like the shipped ones."""

    @pytest.fixture(autouse=True)
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mine.py").write_text(MINE)
        monkeypatch.syspath_prepend(tmp_path)
        parameters.cache_clear()

    def test_arguments_of_user_options_are_checked(self, given: Given) -> None:
        wrong = given({"baseline": {"_target_": "mine.Decaying", "rate": 2, "stepz": 1}})
        assert problems(wrong) == {
            "baseline.rate": "must be a number at least 0 and at most 1 (got 2)",
            "baseline.stepz": "unknown key (got 1). Did you mean 'steps'? Known keys: rate, steps.",
        }

    def test_defaults_of_user_options(self, given: Given) -> None:
        run = parse(given({"baseline": {"_target_": "mine.Decaying", "rate": 0.5}}))
        assert run.baseline == Option("mine.Decaying", {"rate": 0.5})

    def test_nested_option_with_any_name(self, given: Given) -> None:
        critic = {"_target_": "pgexp.networks.feedforward.Linear", "bias": True, "initialization": "zeros", "gain": 1.0}
        run = parse(given({"baseline": {"_target_": "mine.Critic", "critic": critic}}))
        assert run.baseline.arguments["critic"].name == "Linear"

    def test_optional_nested_option(self, given: Given) -> None:
        critic = {"_target_": "pgexp.networks.feedforward.Linear", "bias": True, "initialization": "zeros", "gain": 1.0}
        with_one = parse(given({"baseline": {"_target_": "mine.Perhaps", "critic": critic}}))
        assert with_one.baseline.arguments["critic"].name == "Linear"
        without = parse(given({"baseline": {"_target_": "mine.Perhaps", "critic": None}}))
        assert without.baseline.arguments == {"critic": None}
        assert problems(given({"baseline": {"_target_": "mine.Perhaps", "critic": 3}})) == {
            "baseline.critic": "must be a mapping with its own _target_ or null (got 3)"
        }

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_numbers_are_finite(self, given: Given, number: float) -> None:
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
