"""A run that fails leaves its pack, with its reason; the others' rows, parameters and evaluations are the same bits."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgexp.envs.slots import Slots, Start, Transition
from pgexp.execution.assembly import Pack, assemble
from pgexp.functional.arrays import Actions, Rows
from pgexp.learning.evaluator import Subject
from pgexp.learning.failure import Failure, RunError
from pgexp.learning.rollout import Rollout
from pgexp.learning.state import capture, restore
from pgexp.learning.trainer import train
from pgexp.schema.config import RunConfig
from pgexp.schema.streams import Key, integer
from tests.conftest import Compose
from tests.failing import BAD, MODES, at, brittle, faulty, moody, sound

GOOD = (0, 2)
History = tuple[list[dict[str, float]], dict[str, list[float]], list[float]]


class Trained:
    """A pack trained to its end: what came of each run, by its seed."""

    def __init__(self, configs: Sequence[RunConfig]) -> None:
        self.pack = assemble(configs)
        self.seeds = [config.seed for config in configs]
        self.rows: dict[int, list[dict[str, float]]] = {seed: [] for seed in self.seeds}
        self.failures: dict[int, Failure] = {}
        for updates in train(self.pack.collector, self.pack.stacked, self.pack.learners):
            for update in updates:
                seed = self.seeds[update.run]
                if update.failure is None:
                    self.rows[seed].append(update.metrics)
                else:
                    assert update.metrics == {}
                    self.failures[seed] = update.failure
        self.evaluated = evaluated(self.pack, self.seeds)
        self.pack.close()

    def history(self, seed: int) -> History:
        """Return a run's rows, final parameters and evaluation."""
        run = self.seeds.index(seed)
        parameters = {name: tensor[run].tolist() for name, tensor in self.pack.stacked.items()}
        return self.rows[seed], parameters, self.evaluated[run]


def evaluated(pack: Pack, seeds: Sequence[int]) -> list[list[float]]:
    subjects = [Subject(seed, "final") for seed in seeds]
    outcomes = pack.evaluator.attempt(pack.stacked, subjects, 3, greedy=False)
    return [[] if isinstance(outcome, Exception) else outcome.returns.tolist() for outcome in outcomes]


def assert_fails_alone(configs: Sequence[RunConfig]) -> tuple[Failure, list[dict[str, float]]]:
    """Train a pack in which the bad seed's run fails, and the same without it; return its failure and its rows."""
    packed = Trained(configs)
    without = Trained([config for config in configs if config.seed != BAD])
    for seed in without.seeds:
        assert packed.history(seed) == without.history(seed)
        assert len(packed.rows[seed]) > len(packed.rows[BAD])
    assert [*packed.failures] == [BAD]
    assert not without.failures
    return packed.failures[BAD], packed.rows[BAD]


def around(bad: RunConfig, good: RunConfig) -> list[RunConfig]:
    return [at(good, GOOD[0]), at(bad, BAD), at(good, GOOD[1])]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at_time", [0, 1, 5])
def test_an_environment_that_raises(configured: Compose, mode: str, at_time: int) -> None:
    """At time 0 it raises in its reset. The third episode of slot 1 is in the second batch of two a slot."""
    config = faulty(configured, *MODES[mode], at=at_time)
    failure, rows = assert_fails_alone(around(config, config))
    assert (failure.reason, failure.final) == ("ValueError: the motor is stuck", False)
    assert failure.traceback.startswith("Traceback (most recent call last):\n")
    assert "in _observed\n" in failure.traceback
    assert failure.traceback.endswith("ValueError: the motor is stuck\n")
    if mode == "episodes":
        assert len(rows) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", ["raise", "exit"])
def test_an_environment_in_a_worker_process(configured: Compose, mode: str, fault: str) -> None:
    config = faulty(configured, *MODES[mode], "env.vectorization=async", fault=fault)
    failure, _ = assert_fails_alone(around(config, config))
    assert (
        failure.reason
        == {
            "raise": "ValueError: the motor is stuck",
            "exit": "WorkerEndedError: a worker process of the environments ended with code 3",
        }[fault]
    )
    assert not failure.final
    assert ("in _observed\n" in failure.traceback) == (fault == "raise")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("pay nan", "a reward of nan at step 3 of"),
        ("pay inf", "a reward of inf at step 3 of"),
        ("show nan", "an observation that holds nan at step 3 of"),
        ("show -inf", "an observation that holds -inf at step 3 of"),
    ],
)
def test_an_environment_that_gives_no_finite_number(configured: Compose, mode: str, fault: str, told: str) -> None:
    config = faulty(configured, *MODES[mode], fault=fault, at=3)
    failure, _ = assert_fails_alone(around(config, config))
    assert failure == Failure(f"the environment gave {told} episode 2 in slot 1, each counted from 0", final=True)


def test_a_reward_that_is_not_finite_fails_its_run_though_it_would_be_clipped(configured: Compose) -> None:
    config = faulty(configured, *MODES["episodes"], "algorithm.reward_clip=1", fault="pay -inf", at=3)
    failure, _ = assert_fails_alone(around(config, config))
    assert "a reward of -inf at step 3" in failure.reason


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_whose_observation_does_not_fit_its_space(configured: Compose, mode: str) -> None:
    config = faulty(configured, *MODES[mode], fault="three")
    failure, _ = assert_fails_alone(around(config, config))
    text = "ValueError: the environment gave an observation of shape (3,), and its space says (2,)"
    assert (failure.reason, failure.final) == (text, False)


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_that_raises_after_it_showed_no_number(configured: Compose, mode: str) -> None:
    config = faulty(configured, *MODES[mode], fault="show nan, raise", at=3)
    failure, _ = assert_fails_alone(around(config, config))
    told = "the environment gave an observation that holds nan, and raised ValueError after it"
    assert (failure.reason, failure.final) == (told, True)
    assert "in _observed\n" in failure.traceback


def test_an_episode_without_an_end_after_a_number_that_is_none(configured: Compose) -> None:
    config = faulty(configured, *MODES["episodes"], "env.id=tests.probes:pgexp-probe/Endless-v0", fault="lose", at=3)
    failure, _ = assert_fails_alone(around(config, config))
    told = "the environment gave a reward of nan at step 3 of episode 2 in slot 1, each counted from 0"
    assert failure == Failure(told, final=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_baseline_that_raises(configured: Compose, mode: str) -> None:
    config = sound(configured, *MODES[mode], "algorithm.open_tail=drop", "baseline=value")
    failure, rows = assert_fails_alone(around(moody(config), config))
    assert (failure.reason, failure.final) == ("LookupError: no mood left", False)
    assert 'raise LookupError("no mood' in failure.traceback
    if mode == "episodes":
        assert len(rows) == 2


def test_an_optimizer_that_leaves_the_parameters_half_stepped(configured: Compose) -> None:
    config = sound(configured, *MODES["episodes"], "baseline=mean")
    failure, rows = assert_fails_alone(around(brittle(config), config))
    assert (failure.reason, failure.final, rows) == ("SystemExit: 3", False, [])


def test_a_greedy_rollout_whose_environment_fails(configured: Compose) -> None:
    """The walk that is played again fails in an episode that it survived when it was collected: it lasts longer."""
    mode = (*MODES["episodes"], "env.max_episode_steps=50")
    pack = assemble([at(sound(configured, *mode), BAD)])
    (batch,) = pack.collector.collect(pack.stacked, [0])
    assert not isinstance(batch, Exception)
    for fault, error in {"raise": ValueError, "pay nan": RunError}.items():
        broken = faulty(configured, *mode, place=(0, 0), fault=fault, at=1)
        (replayer,) = assemble([at(broken, BAD)]).replayers
        with pytest.raises(error):
            replayer(batch)


class TestEvaluation:
    """The walk of the bad seed goes wrong in its fourth episode of six, in four slots."""

    def outcomes(self, configured: Compose, seeds: Sequence[int], **faults: object) -> list[object]:
        when = integer(BAD, "evaluation", "final", 3, "env")
        config = faulty(configured, *MODES["episodes"], "evaluation.slots=4", **{"when": when, **faults})
        pack = assemble([at(config, seed) for seed in seeds])
        subjects = [Subject(seed, "final") for seed in seeds]
        found = [pack.evaluator.attempt(pack.stacked, subjects, 6, greedy=False) for _ in range(2)]
        assert [list(map(repr, outcomes)) for outcomes in found[:1]] == [list(map(repr, found[1]))]
        with pytest.raises(ValueError, match="the motor is stuck"):
            pack.evaluator.evaluate(pack.stacked, subjects, 6, greedy=False)
        return found[0]

    @pytest.mark.parametrize("at_time", [0, 2])
    def test_a_subject_fails_alone_each_time(self, configured: Compose, at_time: int) -> None:
        first, bad, last = self.outcomes(configured, [0, BAD, 2], at=at_time)
        assert isinstance(bad, ValueError)
        config = sound(configured, *MODES["episodes"], "evaluation.slots=4")
        for seed, outcome in ((0, first), (2, last)):
            pack = assemble([at(config, seed)])
            (alone,) = pack.evaluator.evaluate(pack.stacked, [Subject(seed, "final")], 6, greedy=False)
            assert repr(outcome) == repr(alone)

    def test_all_may_fail(self, configured: Compose) -> None:
        (bad,) = self.outcomes(configured, [BAD], at=0)
        assert isinstance(bad, ValueError)


class TestGoingOn:
    def test_a_run_whose_environment_fails_as_it_is_set_back_leaves_at_the_first_batch(
        self, configured: Compose
    ) -> None:
        fine = sound(configured, *MODES["segments"])
        pack = assemble([at(fine, seed) for seed in (0, BAD)])
        next(iter(train(pack.collector, pack.stacked, pack.learners)))
        states = [capture(learner, pack.collector, run) for run, learner in enumerate(pack.learners)]
        rest = list(train(pack.collector, pack.stacked, pack.learners))

        number = int(states[1].slots["episode"][1])
        broken = faulty(configured, *MODES["segments"], place=(1, number), at=0)
        again = assemble([at(broken, seed) for seed in (0, BAD)])
        for run, state in enumerate(states):
            restore(state, again.learners[run], again.collector, run)
        rounds = list(train(again.collector, again.stacked, again.learners))
        failure = rounds[0][1].failure
        assert failure is not None
        assert failure.reason == "ValueError: the motor is stuck"
        assert [updates[0] for updates in rounds] == [updates[0] for updates in rest]

    def test_the_same_where_no_step_of_an_episode_is_to_be_played_again(self, configured: Compose) -> None:
        broken = faulty(configured, *MODES["segments"], place=(1, 0), at=0)
        pack = assemble([at(broken, BAD)])
        position = pack.collector.position(0)
        seen = np.ones_like(position.observations)
        pack.collector.restore(0, replace(position, episode=np.array([0, 0]), observations=seen))
        (reason,) = pack.collector.collect(pack.stacked, [0])
        assert str(reason) == "the motor is stuck"


class Listening(Slots):
    """Slots that know which rows were asked for."""

    def __init__(self, inner: Slots) -> None:
        self._inner, self.asked = inner, list[tuple[str, list[int]]]()

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        self.asked.append(("start", rows.tolist()))
        return self._inner.start(rows, seeds)

    def step(self, rows: Rows, actions: Actions) -> Transition:
        self.asked.append(("step", rows.tolist()))
        return self._inner.step(rows, actions)

    def close(self) -> None:
        self._inner.close()


def test_a_run_that_is_out_is_neither_started_nor_stepped_nor_told_of(configured: Compose) -> None:
    """Slot 1 of the first run, which has two, fails at time 1; the second run plays on."""
    pack = assemble([at(faulty(configured, *MODES["episodes"], place=(1, 0), at=1), seed) for seed in (BAD, 0)])
    slots = Listening(pack.env.slots(4))

    def stream(row: int, purpose: str, episode: int) -> Key:
        return ((BAD, 0)[row // 2], purpose, row % 2, episode)

    rollout = Rollout(pack.env, slots, pack.policy, 2, 2, stream)
    rollout.follow(pack.stacked)
    rollout.start(np.arange(4))
    told = rollout.step(np.ones(4, dtype=bool))
    assert told.rows.tolist() == [2, 3]
    assert (told.observations.shape, [*rollout.failures]) == ((2, 2), [0])
    rollout.start(np.arange(4))
    rollout.step(rollout.sound)
    everybody, others = [0, 1, 2, 3], [2, 3]
    assert slots.asked == [("start", everybody), ("step", everybody), ("start", others), ("step", others)]


class TestToldInALine:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ValueError("a\n  b"), "ValueError: a b"),
            (KeyError("a"), "KeyError: 'a'"),
            (AssertionError(), "AssertionError"),
            (RunError("it is so"), "it is so"),
        ],
    )
    def test_an_exception(self, error: Exception, reason: str) -> None:
        assert Failure.of(error).reason == reason

    def test_with_a_traceback_unless_the_line_tells_all(self) -> None:
        assert Failure.of(RunError("it is so")).traceback == ""
        error = RunError("it is so")
        error.__cause__ = ValueError("that is why")
        assert re.search("ValueError: that is why.*direct cause.*it is so", Failure.of(error).traceback, re.S)


def test_parameters_of_others_are_not_shared(configured: Compose) -> None:
    """The optimizer above did write what is no number."""
    config = sound(configured, *MODES["episodes"], "baseline=mean")
    trained = Trained(around(brittle(config), config))
    finite = [all(torch.isfinite(tensor[run]).all() for tensor in trained.pack.stacked.values()) for run in range(3)]
    assert finite == [True, False, True]
