"""A run set back to where it stood goes on to the same bits: in a pack of its own, or among any others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tests.probes
from pgexp.baselines.none import NoBaseline
from pgexp.execution.assembly import Pack, assemble
from pgexp.learning.rollout import NOISE_BLOCK
from pgexp.learning.state import State, StateError, capture, restore
from pgexp.learning.trainer import train
from pgexp.schema.config import RunConfig
from pgexp.storage.checkpoint import read_checkpoint, write_checkpoint
from tests.conftest import CONF, Compose
from tests.trees import assert_same_tree

BASELINES = sorted(path.stem for path in (CONF / "baseline").glob("*.yaml"))
OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
SHORT = ("budget.steps=600", "network.widths=[8]", "env.slots=4", "algorithm.batch.episodes=4", "diagnostics=full")
SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=16", "env.slots=2", "budget.steps=200")

Rows = list[dict[str, float]]


@dataclass(frozen=True)
class Undisturbed:
    """A run that was trained to its end, and where it stood between two updates on the way."""

    rows: Rows
    between: State
    behind: int  # updates before that
    end: State


def trained(pack: Pack) -> list[Rows]:
    """Train a pack to its end; return each run's rows."""
    rows: list[Rows] = [[] for _ in pack.configs]
    for updates in train(pack.collector, pack.stacked, pack.learners):
        for update in updates:
            assert update.failure is None
            rows[update.run].append(update.metrics)
    return rows


def states(pack: Pack) -> list[State]:
    return [capture(learner, pack.collector, run) for run, learner in enumerate(pack.learners)]


def undisturbed(configs: Sequence[RunConfig], after: int = 3) -> list[Undisturbed]:
    """Train a pack to its end; its runs' states in between are taken after so many updates."""
    pack = assemble(configs)
    rows: list[Rows] = [[] for _ in configs]
    between: list[State] = []
    for number, updates in enumerate(train(pack.collector, pack.stacked, pack.learners), 1):
        for update in updates:
            rows[update.run].append(update.metrics)
        if number == after:
            between = states(pack)
    found = zip(rows, between, states(pack), strict=True)
    pack.close()
    return [Undisturbed(of_run, state, after, end) for of_run, state, end in found]


def as_kept(state: State, folder: Path) -> State:
    """Return the state as a checkpoint has it."""
    write_checkpoint(folder / "state.safetensors", dict(vars(state)))
    return State(**read_checkpoint(folder / "state.safetensors"))


def assert_same_state(found: State, expected: State) -> None:
    assert_same_tree(dict(vars(found)), dict(vars(expected)))


def assert_goes_on(run: Undisturbed, configs: Sequence[RunConfig], place: int, folder: Path) -> list[Rows]:
    """Set a run of a fresh pack back, and hold what comes of it to the undisturbed one; return all rows."""
    pack = assemble(configs)
    restore(as_kept(run.between, folder), pack.learners[place], pack.collector, place)
    assert_same_state(capture(pack.learners[place], pack.collector, place), run.between)
    rows = trained(pack)
    assert rows[place] == run.rows[run.behind :]
    assert rows[place], "nothing was left to go on with"
    assert_same_state(capture(pack.learners[place], pack.collector, place), run.end)
    pack.close()
    return rows


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_baseline_goes_on(configured: Compose, tmp_path: Path, baseline: str) -> None:
    config = configured(*SHORT, f"baseline={baseline}")
    (run,) = undisturbed([config])
    assert_goes_on(run, [config], 0, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on(configured: Compose, tmp_path: Path, optimizer: str, dtype: str) -> None:
    config = configured(*SHORT, f"optimizer={optimizer}", f"dtype={dtype}", "baseline=mean", "diagnostics=light")
    (run,) = undisturbed([config])
    assert_goes_on(run, [config], 0, tmp_path)


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
    ],
    ids=" ".join,
)
def test_whole_episodes_go_on(configured: Compose, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    short = [text for text in SHORT if not (text.startswith("network") and "network" in overrides[0])]
    config = configured(*short, *overrides)
    (run,) = undisturbed([config])
    assert_goes_on(run, [config], 0, tmp_path)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("env.normalize_observations=true", "algorithm.return_scale=std"),
        ("network=gru",),
        ("network=lstm", "network.units=1", "baseline=shared_value", "dtype=float64"),
        ("env=lunarlander", "env.normalize_observations=true", "algorithm.credit=lambda_return"),
        ("env=halfcheetah_v4", "env.normalize_observations=true", "algorithm.time_limit=bootstrap"),
        ("env=frozenlake", "baseline=mean", "algorithm.open_tail=drop"),
        ("env=bipedalwalker", "env.vectorization=async"),
        ("env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:2}]",),
    ],
    ids=" ".join,
)
def test_segments_go_on_amid_their_episodes(configured: Compose, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    config = configured(*SEGMENTS, *overrides)
    (run,) = undisturbed([config])
    assert run.between.slots["time"].any(), "no episode was left open"
    assert_goes_on(run, [config], 0, tmp_path)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_episode_longer_than_a_block_of_draws_goes_on(configured: Compose, tmp_path: Path, after: int) -> None:
    steps = NOISE_BLOCK // 2 + 44 if after != 2 else NOISE_BLOCK // 2  # after 2: at a block's very end
    clock = ("env.id=pgexp-probe/Clock-v0", "network=linear", "baseline=constant", "budget.steps=2400")
    config = configured(*SEGMENTS, *clock, f"algorithm.batch.steps={steps}")
    (run,) = undisturbed([config], after)
    assert run.between.slots["time"].tolist() == [after * steps] * 2
    assert run.between.slots["returns"].tolist() == [after * steps] * 2
    assert_goes_on(run, [config], 0, tmp_path)


@pytest.mark.parametrize("overrides", [SHORT, SEGMENTS, (*SEGMENTS, "network=gru")], ids=" ".join)
def test_a_run_goes_on_among_others(configured: Compose, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    config = configured(*overrides, "env.normalize_observations=true")
    of_pack = undisturbed([replace(config, seed=seed) for seed in (4, 5, 6)])
    (alone,) = undisturbed([replace(config, seed=7)], after=2)
    new, ended = replace(config, seed=8), configured(*overrides, "env.normalize_observations=true", "budget.steps=40")
    assert_goes_on(of_pack[1], [replace(config, seed=5)], 0, tmp_path)
    rows = assert_goes_on(alone, [new, ended, replace(config, seed=7)], 2, tmp_path)
    assert rows[0] == undisturbed([new])[0].rows


def test_a_run_that_never_learnt_is_restored_to_its_begin(configured: Compose, tmp_path: Path) -> None:
    config = configured(*SEGMENTS)
    pack = assemble([config])
    (state,) = states(pack)
    assert state.slots["episode"].tolist() == [-1, -1]
    restore(as_kept(state, tmp_path), pack.learners[0], pack.collector, 0)
    assert trained(pack) == [undisturbed([config])[0].rows]
    pack.close()


@pytest.mark.parametrize("shows", ["seen", "paid", "lasts"])
def test_an_environment_that_plays_otherwise_the_second_time_is_told(
    configured: Compose, monkeypatch: pytest.MonkeyPatch, shows: str
) -> None:
    monkeypatch.setattr(tests.probes.Unrepeatable, "begun", 0)
    probe = ("env.id=pgexp-probe/Unrepeatable-v0", f"+env.kwargs.shows={shows}", "network=linear")
    config = configured(*SEGMENTS, *probe)
    (run,) = undisturbed([config])
    tests.probes.Unrepeatable.begun = 990
    pack = assemble([config])
    with pytest.raises(StateError, match="the environment did not play an episode again as before"):
        restore(run.between, pack.learners[0], pack.collector, 0)
    pack.close()


@pytest.fixture(scope="module")
def state(configured: Compose) -> State:
    return undisturbed([configured(*SEGMENTS)])[0].between


class TestAStateOfAnotherRun:
    @pytest.mark.parametrize(
        "overrides",
        [
            ("network.widths=[3]",),
            ("network=linear",),
            ("dtype=float64",),
            ("env.slots=4",),
            ("baseline=ema",),
            ("baseline=shared_value",),
            ("optimizer=sgd",),
            ("env=acrobot",),
            ("env.normalize_observations=true",),
        ],
        ids=" ".join,
    )
    def test_it_is_refused(self, configured: Compose, state: State, overrides: tuple[str, ...]) -> None:
        pack = assemble([configured(*SEGMENTS, *overrides)])
        with pytest.raises(StateError, match="its state is not this run's: "):
            restore(state, pack.learners[0], pack.collector, 0)
        pack.close()

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
            {"traces": {}},
            {"seen": {"count": 1}},
            {"slots": {}},
            {"slots": {"episode": np.zeros(2)}},
            {"slots": []},
        ],
        ids=repr,
    )
    def test_one_that_lacks_something_is_refused(
        self, configured: Compose, state: State, changed: dict[str, Any]
    ) -> None:
        pack = assemble([configured(*SEGMENTS)])
        with pytest.raises(StateError, match="its state is not this run's: "):
            restore(replace(state, **changed), pack.learners[0], pack.collector, 0)
        pack.close()


class Remembering(NoBaseline):
    """A baseline that remembers what a checkpoint can't hold, or what is not there."""

    def __init__(self, name: str) -> None:
        self.generator = np.random.default_rng(0)
        self.__class__.remembered = (name,)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("absent", "Remembering.remembered names absent, which it has not"),
        ("generator", "Remembering.remembered names generator, which a checkpoint can't hold: Generator is no number"),
    ],
)
def test_what_can_not_be_captured_is_told(configured: Compose, name: str, told: str) -> None:
    pack = assemble([configured(*SHORT)])
    learner = replace(pack.learners[0], student=replace(pack.learners[0].student, baseline=Remembering(name)))
    with pytest.raises(StateError) as refusal:
        capture(learner, pack.collector, 0)
    assert str(refusal.value).startswith(told)
    pack.close()
