"""Failures of environments, baselines and optimizers: exceptions and reasons."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pgexp.algorithms.errors import DivergenceError, Failure, RunError
from pgexp.algorithms.evaluator import EvaluationKey
from pgexp.envs.workers import WorkerEndedError
from pgexp.schema.config import RunConfig
from tests.algorithms.conftest import Assemble
from tests.conftest import Compose
from tests.failing import BAD, MODES, at, brittle, faulty, moody, sound
from tests.streams import episode_seed

MODE = pytest.mark.parametrize("mode", MODES)
Train = Callable[[RunConfig], tuple[Failure, list[dict[str, float]]]]


@pytest.fixture
def trained(assembled: Assemble) -> Train:
    """Return a function that trains a config with the seed BAD, and returns its failure and the metrics before it."""

    def until_failure(config: RunConfig) -> tuple[Failure, list[dict[str, float]]]:
        run, rows = assembled(at(config, BAD)), []
        try:
            for metrics in run.trainer.train():
                rows.append(metrics)
        except BaseException as error:
            return Failure.of(error), rows
        pytest.fail("the run did not fail")

    return until_failure


class TestEnvironments:
    """The fault is in the third episode of environment 1, in the second batch of two episodes per environment."""

    @MODE
    @pytest.mark.parametrize("time", [0, 1, 5])
    def test_an_exception_is_raised_unchanged(self, configured: Compose, trained: Train, mode: str, time: int) -> None:
        """At time 0 the environment raises in its reset."""
        failure, rows = trained(faulty(configured, *MODES[mode], at=time))
        assert (failure.reason, failure.final) == ("ValueError: the motor is stuck", False)
        assert failure.traceback.startswith("Traceback (most recent call last):\n")
        assert "in _observed\n" in failure.traceback
        assert failure.traceback.endswith("ValueError: the motor is stuck\n")
        if mode == "episodes":
            assert len(rows) == 1

    @pytest.mark.parametrize("mode", ["segments", pytest.param("episodes", marks=pytest.mark.slow)])
    @pytest.mark.parametrize("fault", ["raise", "exit"])
    def test_so_is_one_in_a_worker_process(self, configured: Compose, trained: Train, mode: str, fault: str) -> None:
        failure, _ = trained(faulty(configured, *MODES[mode], "env.vectorization=async", fault=fault))
        reasons = {
            "raise": "ValueError: the motor is stuck",
            "exit": f"{WorkerEndedError.__name__}: a worker process of the environments ended with code 3",
        }
        assert (failure.reason, failure.final) == (reasons[fault], False)
        assert ("in _observed\n" in failure.traceback) == (fault == "raise")

    @MODE
    @pytest.mark.parametrize(
        ("fault", "text"),
        [
            ("pay nan", "a reward that is not finite (at step 3 of"),
            ("pay inf", "a reward that is not finite (at step 3 of"),
            ("show nan", "an observation that is not finite (at step 3 of"),
            ("show -inf", "an observation that is not finite (at step 3 of"),
        ],
    )
    def test_a_number_that_is_not_finite_is_a_divergence(
        self, configured: Compose, trained: Train, mode: str, fault: str, text: str
    ) -> None:
        failure, _ = trained(faulty(configured, *MODES[mode], fault=fault, at=3))
        reason = f"the environment returned {text} episode 2 in environment 1, each counted from 0)"
        assert failure == Failure(reason, final=True)

    def test_so_is_a_reward_that_would_be_clipped(self, configured: Compose, trained: Train) -> None:
        config = faulty(configured, *MODES["episodes"], "algorithm.reward_clip=1", fault="pay -inf", at=3)
        assert "a reward that is not finite (at step 3" in trained(config)[0].reason

    @MODE
    def test_an_observation_outside_its_space_is_an_error(self, configured: Compose, trained: Train, mode: str) -> None:
        failure, _ = trained(faulty(configured, *MODES[mode], fault="three"))
        text = "ValueError: an observation must have shape (2,), as its space (got (3,))"
        assert (failure.reason, failure.final) == (text, False)

    @MODE
    def test_no_step_follows_an_observation_that_is_not_finite(
        self, configured: Compose, trained: Train, mode: str
    ) -> None:
        failure, _ = trained(faulty(configured, *MODES[mode], fault="show nan, raise", at=3))
        assert "an observation that is not finite (at step 3" in failure.reason

    def test_a_reward_that_is_not_finite_stops_an_endless_episode(self, configured: Compose, trained: Train) -> None:
        endless = "env.id=tests.probes:pgexp-probe/Endless-v0"
        failure, _ = trained(faulty(configured, *MODES["episodes"], endless, fault="lose", at=3))
        assert "a reward that is not finite (at step 3 of episode 2 in environment 1" in failure.reason


@MODE
def test_an_exception_of_the_baseline_is_raised(configured: Compose, trained: Train, mode: str) -> None:
    config = sound(configured, *MODES[mode], "algorithm.partial_episodes=drop", "baseline=value")
    failure, rows = trained(moody(config))
    assert (failure.reason, failure.final) == ("LookupError: no mood left", False)
    assert 'raise LookupError("no mood' in failure.traceback
    if mode == "episodes":
        assert len(rows) == 2


def test_an_exception_of_the_optimizer_is_raised(configured: Compose, trained: Train) -> None:
    failure, rows = trained(brittle(sound(configured, *MODES["episodes"], "baseline=mean")))
    assert (failure.reason, failure.final, rows) == ("SystemExit: 3", False, [])


def test_an_environment_that_fails_in_a_greedy_replay(configured: Compose, assembled: Assemble) -> None:
    mode = (*MODES["episodes"], "env.max_episode_steps=50")
    batch = assembled(at(sound(configured, *mode), BAD)).collector.collect()
    for fault, error in {"raise": ValueError, "pay nan": DivergenceError}.items():
        broken = faulty(configured, *mode, place=(0, 0), fault=fault, at=1)
        with pytest.raises(error):
            assembled(at(broken, BAD)).replayer(batch)


class TestEvaluation:
    """The fault is in the fourth of six episodes, in four environments."""

    @pytest.mark.parametrize(
        ("fault", "time", "error"),
        [("raise", 0, ValueError), ("raise", 2, ValueError), ("pay nan", 2, DivergenceError)],
    )
    def test_it_raises(
        self,
        configured: Compose,
        assembled: Assemble,
        fault: str,
        time: int,
        error: type[Exception],
    ) -> None:
        when = episode_seed(BAD, "evaluation", "final", "env", 0, 3)
        settings: dict[str, Any] = {"when": when, "fault": fault, "at": time}
        config = faulty(configured, *MODES["episodes"], "evaluation.num_envs=4", **settings)
        run = assembled(at(config, BAD))
        with pytest.raises(error):
            run.evaluator.evaluate(run.parameters.views, EvaluationKey(BAD, "final"), 6, greedy=False)

    def test_episodes_before_the_fault_have_their_outcome(self, configured: Compose, assembled: Assemble) -> None:
        when = episode_seed(BAD, "evaluation", "final", "env", 0, 3)
        settings = (*MODES["episodes"], "evaluation.num_envs=4")
        run, fine = (
            assembled(at(c, BAD)) for c in (faulty(configured, *settings, when=when), sound(configured, *settings))
        )
        found, expected = (
            one.evaluator.evaluate(one.parameters.views, EvaluationKey(BAD, "final"), 3, greedy=False)
            for one in (run, fine)
        )
        assert repr(found) == repr(expected)


def test_an_environment_that_fails_when_its_episode_is_replayed(configured: Compose, assembled: Assemble) -> None:
    run = assembled(at(sound(configured, *MODES["segments"]), BAD))
    next(run.trainer.train())
    state = run.trainer.save()
    assert state.environments["time"][1] > 0
    broken = faulty(configured, *MODES["segments"], place=(1, int(state.environments["episode"][1])), at=0)
    again = assembled(at(broken, BAD))
    with pytest.raises(ValueError, match=r"^the motor is stuck$"):
        again.trainer.restore(state)


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ValueError("a\n  b"), "ValueError: a b"),
            (KeyError("a"), "KeyError: 'a'"),
            (AssertionError(), "AssertionError"),
            (RunError("it is so"), "it is so"),
        ],
    )
    def test_the_reason_is_one_line(self, error: Exception, reason: str) -> None:
        assert Failure.of(error).reason == reason

    def test_a_run_error_has_a_traceback_only_if_it_has_a_cause(self) -> None:
        assert Failure.of(RunError("it is so")).traceback == ""
        error = RunError("it is so")
        error.__cause__ = ValueError("that is why")
        assert re.search("ValueError: that is why.*direct cause.*it is so", Failure.of(error).traceback, re.S)

    def test_the_brittle_optimizer_leaves_parameters_not_finite(self, configured: Compose, assembled: Assemble) -> None:
        run = assembled(brittle(sound(configured, *MODES["episodes"], "baseline=mean")))
        with pytest.raises(SystemExit):
            next(run.trainer.train())
        assert not torch.isfinite(run.parameters.vector).all()
