"""Training loop: budgets, counters, and runs that diverge."""

import pytest
import torch

from pgexp.execution.assembly import Run
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.trainer import train
from pgexp.schema import names
from tests.learning.conftest import MakeRun
from tests.streams import episode_seed


def trained(run: Run) -> list[dict[str, float]]:
    return list(train(run.collector, run.learner))


def test_the_update_that_reaches_the_budget_is_finished_and_is_the_last(run_on: MakeRun) -> None:
    # Batches of 4 episodes of 5 steps: updates start at 0, 20 and 40 steps, and none at 60.
    run = run_on("Clock", "budget.steps=50", "algorithm.batch.episodes=4", length=5)
    assert len(trained(run)) == 3
    assert (run.learner.steps, run.learner.episodes) == (60, 12)


def test_a_budget_that_is_reached_exactly_is_not_exceeded(run_on: MakeRun) -> None:
    run = run_on("Clock", "budget.steps=40", "algorithm.batch.episodes=4", length=5)
    assert len(trained(run)) == 2
    assert run.learner.steps == 40


def test_a_budget_may_count_episodes(run_on: MakeRun) -> None:
    run = run_on("Clock", "budget={steps:null,episodes:10}", "algorithm.batch.episodes=4", length=5)
    assert len(trained(run)) == 3
    assert (run.learner.steps, run.learner.episodes) == (60, 12)


def test_the_run_is_between_two_updates_at_each_yield(run_on: MakeRun) -> None:
    run = run_on("Clock", "budget.steps=60", "algorithm.batch.episodes=4", length=5)
    counters = [(run.learner.steps, metrics[names.UPDATES]) for metrics in train(run.collector, run.learner)]
    assert counters == [(20, 1), (40, 2), (60, 3)]


def test_truncated_episodes_are_counted_for_each_time_limit_setting(run_on: MakeRun) -> None:
    cut = ("env.max_episode_steps=3", "budget.steps=12", "algorithm.batch.episodes=4", "baseline=value")
    for limit in ("end", "bootstrap"):
        (metrics,) = trained(run_on("Clock", *cut, f"algorithm.time_limit={limit}"))
        assert metrics[names.TRUNCATED] == 4.0
    (metrics,) = trained(run_on("Clock", *cut[1:], length=3))
    assert metrics[names.TRUNCATED] == 0.0


class TestDivergence:
    """The reward is NaN in episode 3 of environment 2: in the fourth update."""

    BATCHES = ("env.num_envs=4", "algorithm.batch.episodes=4", "budget.steps=160")
    SETTINGS = (*BATCHES, "baseline=mean", "schedule=constant")
    POISONED = episode_seed(1, "env", 2, 3)

    def test_the_updates_before_are_unchanged_and_the_next_one_raises(self, run_on: MakeRun) -> None:
        run = run_on("Poisoned", *self.SETTINGS, seed=1, poisoned=self.POISONED)
        updates = train(run.collector, run.learner)
        rows = [next(updates) for _ in range(3)]
        place = r"\(at step 0 of episode 3 in environment 2, each counted from 0\)"
        with pytest.raises(DivergenceError, match=f"the environment gave a reward that is not finite {place}"):
            next(updates)
        assert rows == trained(run_on("Poisoned", *self.SETTINGS, seed=1))[:3]

    def test_the_parameters_stay_those_before_the_failed_update(self, run_on: MakeRun) -> None:
        run = run_on("Poisoned", *self.SETTINGS, seed=1, poisoned=self.POISONED)
        with pytest.raises(DivergenceError):
            trained(run)
        before = run_on("Poisoned", *self.SETTINGS, "budget.steps=48", seed=1)  # three updates of 16 steps
        trained(before)
        assert torch.equal(run.parameters.vector, before.parameters.vector)
