"""Capture and restoration of a run between two updates, to the same bits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tests.probes
from pgexp.algorithms.errors import StateError
from pgexp.algorithms.rollout import CompiledRollout
from pgexp.algorithms.trainer import SavedState
from pgexp.baselines.none import NoBaseline
from pgexp.execution.assembly import Run
from pgexp.runs.checkpoint import read_checkpoint, write_checkpoint
from pgexp.schema.config import Option, RunConfig
from tests.algorithms.conftest import Assemble
from tests.conftest import CONF, Compose
from tests.trees import assert_same_tree


def options(group: str, *fast: str) -> list[Any]:
    """Return the options of a group in conf; all but the fast ones are marked slow."""
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


BASELINES = options("baseline", "ema", "greedy_rollout", "linear", "running_mean", "shared_value", "value")
OPTIMIZERS = options("optimizer", "adam", "rmsprop", "sgd")
SHORT = ("budget.steps=600", "network.widths=[8]", "env.num_envs=4", "algorithm.batch.episodes=4", "diagnostics=full")
SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=16", "env.num_envs=2", "budget.steps=200")

Rows = list[dict[str, float]]
Resume = Callable[..., SavedState]


@dataclass(frozen=True)
class Uninterrupted:
    """A run that was trained to its end, and its state after some updates."""

    rows: Rows
    between: SavedState
    updates: int  # before that state
    end: SavedState


def trained(run: Run) -> Rows:
    return list(run.trainer.train())


def uninterrupted(run: Run, after: int = 3) -> Uninterrupted:
    """Train a run to its end; capture its state after `after` updates."""
    rows, between = [], None
    for metrics in run.trainer.train():
        rows.append(metrics)
        if len(rows) == after:
            between = run.trainer.save()
    assert between is not None
    return Uninterrupted(rows, between, after, run.trainer.save())


def saved(state: SavedState, folder: Path) -> SavedState:
    """Return the state as a checkpoint file holds it."""
    write_checkpoint(folder / "state.safetensors", dict(vars(state)))
    return SavedState(**read_checkpoint(folder / "state.safetensors"))


def assert_same_state(found: SavedState, expected: SavedState) -> None:
    assert_same_tree(dict(vars(found)), dict(vars(expected)))


@pytest.fixture
def assert_resumes(assembled: Assemble, tmp_path: Path) -> Resume:
    """Return a function that interrupts a run of a config, resumes it, and compares all rows and the final state."""

    def resume(config: RunConfig, after: int = 3) -> SavedState:
        expected, run = uninterrupted(assembled(config), after), assembled(config)
        run.trainer.restore(saved(expected.between, tmp_path))
        assert_same_state(run.trainer.save(), expected.between)
        assert trained(run) == expected.rows[expected.updates :]
        assert len(expected.rows) > expected.updates, "the budget was spent before the interruption"
        assert_same_state(run.trainer.save(), expected.end)
        return expected.between

    return resume


class TestWholeEpisodes:
    @pytest.mark.parametrize("baseline", BASELINES)
    def test_with_each_baseline(self, configured: Compose, assert_resumes: Resume, baseline: str) -> None:
        assert_resumes(configured(*SHORT, f"baseline={baseline}"))

    @pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_with_each_optimizer(self, configured: Compose, assert_resumes: Resume, optimizer: str, dtype: str) -> None:
        settings = (f"optimizer={optimizer}", f"dtype={dtype}", "baseline=mean", "diagnostics=light")
        assert_resumes(configured(*SHORT, *settings))

    @pytest.mark.parametrize(
        "overrides",
        [
            ("network=gru", "baseline=shared_value"),
            ("network=lstm", "network.units=3", "baseline=none"),
            ("algorithm.return_scale=std", "algorithm.entropy_coefficient=0.1", "algorithm.entropy_schedule=linear"),
            ("algorithm.max_grad_norm=0.1", "schedule=cosine", "optimizer=sgd", "optimizer.momentum=0.9"),
            ("algorithm=natural", "optimizer=sgd", "optimizer.lr=1", "baseline=value"),
            ("env.normalize_observations=true", "dtype=float64"),
            ("env=pendulum", "env.max_episode_steps=20", "budget.steps=500", "head=gaussian"),
            ("env.vectorization=sync",),
        ],
        ids=" ".join,
    )
    def test_with_other_settings(self, configured: Compose, assert_resumes: Resume, overrides: tuple[str, ...]) -> None:
        short = [text for text in SHORT if not (text.startswith("network") and "network" in overrides[0])]
        assert_resumes(configured(*short, *overrides))


class TestSegments:
    """The interruption leaves episodes open."""

    @pytest.mark.parametrize(
        "overrides",
        [
            (),
            ("env.normalize_observations=true", "algorithm.return_scale=std"),
            ("network=gru",),
            ("network=lstm", "network.units=1", "baseline=shared_value", "dtype=float64"),
            ("env=pendulum", "head=gaussian"),
            ("env=short_corridor",),
        ],
        ids=" ".join,
    )
    def test_compiled(
        self, configured: Compose, assert_resumes: Resume, assembled: Assemble, overrides: tuple[str, ...]
    ) -> None:
        config = configured(*SEGMENTS, *overrides)
        assert isinstance(assembled(config).collector._rollout, CompiledRollout)
        assert assert_resumes(config).environments["time"].any()

    @pytest.mark.parametrize(
        "overrides",
        [
            ("env.vectorization=sync", "network=gru"),
            ("env=frozenlake", "baseline=mean", "algorithm.partial_episodes=drop"),
            ("env.vectorization=async",),
            ("env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:2}]",),
            pytest.param(
                ("env=lunarlander", "env.normalize_observations=true", "algorithm.return_type=lambda_return"),
                marks=pytest.mark.slow,
            ),
            pytest.param(
                ("env=halfcheetah_v4", "env.normalize_observations=true", "algorithm.time_limit=bootstrap"),
                marks=pytest.mark.slow,
            ),
            pytest.param(("env=bipedalwalker", "env.vectorization=async"), marks=pytest.mark.slow),
        ],
        ids=" ".join,
    )
    def test_stepped(self, configured: Compose, assert_resumes: Resume, overrides: tuple[str, ...]) -> None:
        state = assert_resumes(configured(*SEGMENTS, *overrides))
        assert state.environments["time"].any()
        assert len(state.environments["actions"]) == state.environments["time"].sum()

    @pytest.mark.parametrize("vectorization", ["auto", "sync"])
    @pytest.mark.parametrize("dynamics", ["Dials", "Levers"])
    def test_masked(self, configured: Compose, assert_resumes: Resume, dynamics: str, vectorization: str) -> None:
        config = configured(*SEGMENTS, "network=linear")
        own = Option(f"tests.user_parts.{dynamics}", {})
        env = replace(config.env, id="own", dynamics=own, vectorization=vectorization)
        assert assert_resumes(replace(config, env=env), after=2).environments["time"].any()

    @pytest.mark.parametrize("vectorization", ["auto", "sync"])
    def test_a_network_in_torch(self, configured: Compose, assert_resumes: Resume, vectorization: str) -> None:
        config = configured(*SEGMENTS, f"env.vectorization={vectorization}")
        config = replace(config, network=Option("tests.user_networks.Residual", {}))
        assert assert_resumes(config).environments["time"].any()

    @pytest.mark.parametrize("after", [1, 2, 3])
    def test_episodes_without_end(self, configured: Compose, assert_resumes: Resume, after: int) -> None:
        clock = ("env.id=tests.probes:pgexp-probe/Clock-v0", "network=linear", "baseline=constant")
        state = assert_resumes(configured(*SEGMENTS, *clock, "algorithm.batch.steps=300", "budget.steps=2400"), after)
        assert state.environments["time"].tolist() == [after * 300] * 2
        assert state.environments["returns"].tolist() == [after * 300] * 2


@pytest.mark.parametrize("vectorization", ["auto", "sync"])
def test_a_run_without_updates_is_restored_to_its_beginning(
    configured: Compose, assembled: Assemble, tmp_path: Path, vectorization: str
) -> None:
    config = configured(*SEGMENTS, f"env.vectorization={vectorization}")
    run = assembled(config)
    state = run.trainer.save()
    assert state.environments["episode"].tolist() == [0, 0]
    assert state.environments["time"].tolist() == [0, 0]
    run.trainer.restore(saved(state, tmp_path))
    assert trained(run) == trained(assembled(config))


def test_a_captured_state_does_not_change_as_the_run_continues(configured: Compose, assembled: Assemble) -> None:
    run = assembled(configured(*SEGMENTS))
    updates = run.trainer.train()
    next(updates)
    state, again = run.trainer.save(), run.trainer.save()
    list(updates)
    assert_same_state(state, again)


@pytest.mark.parametrize("shows", ["seen", "paid", "lasts"])
def test_an_environment_must_repeat_its_episode(
    configured: Compose, assembled: Assemble, monkeypatch: pytest.MonkeyPatch, shows: str
) -> None:
    monkeypatch.setattr(tests.probes.Unrepeatable, "begun", 0)
    probe = ("env.id=tests.probes:pgexp-probe/Unrepeatable-v0", f"+env.kwargs.shows={shows}", "network=linear")
    config = configured(*SEGMENTS, *probe)
    state = uninterrupted(assembled(config)).between
    tests.probes.Unrepeatable.begun = 990
    run = assembled(config)
    with pytest.raises(StateError, match="the environment does not repeat an episode from its seed and actions"):
        run.trainer.restore(state)


class TestStatesOfOtherRuns:
    @pytest.fixture
    def state(self, configured: Compose, assembled: Assemble) -> SavedState:
        return uninterrupted(assembled(configured(*SEGMENTS))).between

    @pytest.mark.parametrize(
        "overrides",
        [
            ("network.widths=[3]",),
            ("network=linear",),
            ("dtype=float64",),
            ("env.num_envs=4",),
            ("env.vectorization=sync",),
            ("baseline=ema",),
            ("baseline=shared_value",),
            ("optimizer=sgd",),
            ("env=acrobot",),
            ("env.normalize_observations=true",),
        ],
        ids=" ".join,
    )
    def test_another_config_refuses_it(
        self, configured: Compose, assembled: Assemble, state: SavedState, overrides: tuple[str, ...]
    ) -> None:
        run = assembled(configured(*SEGMENTS, *overrides))
        with pytest.raises(StateError, match="the saved state is not this run's: "):
            run.trainer.restore(state)

    @pytest.mark.parametrize(
        "changed",
        [
            {"counters": {"steps": 3}},
            {"counters": {"steps": None, "episodes": 1, "updates": 1}},
            {"counters": None},
            {"parameters": {}},
            {"optimizer": None},
            {"optimizer": {"state": [], "groups": []}},
            {"baseline": {}},
            {"algorithm": {}},
            {"observation_moments": {"count": 1}},
            {"environments": {}},
            {"environments": {"episode": np.zeros(2)}},
            {"environments": []},
        ],
        ids=repr,
    )
    def test_an_incomplete_state_is_refused(
        self, configured: Compose, assembled: Assemble, state: SavedState, changed: dict[str, Any]
    ) -> None:
        run = assembled(configured(*SEGMENTS))
        with pytest.raises(StateError, match="the saved state is not this run's: "):
            run.trainer.restore(replace(state, **changed))


class Declaring(NoBaseline):
    """A baseline that declares an attribute which is not an attribute, or which a checkpoint cannot hold."""

    def __init__(self, name: str) -> None:
        self.generator = np.random.default_rng(0)
        self.__class__.state_attributes = (name,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "Declaring.state_attributes names absent, which is not an attribute"),
        ("generator", "Declaring.state_attributes names generator, which cannot be saved: "),
    ],
)
def test_an_attribute_that_cannot_be_captured_is_an_error(
    configured: Compose, assembled: Assemble, name: str, message: str
) -> None:
    run = assembled(configured(*SHORT))
    trainer = replace(run.trainer, state=replace(run.trainer.state, baseline=Declaring(name)))
    with pytest.raises(StateError) as caught:
        trainer.save()
    assert str(caught.value).startswith(message)
