"""Trainer of a run: budgets, counters, learning rate, metrics, and divergence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi

import numpy as np
import pytest
import torch

from pgexp.algorithms.algorithm import Algorithm, TrainState
from pgexp.algorithms.collector import Collector
from pgexp.algorithms.errors import DivergenceError
from pgexp.algorithms.schedules import Constant, Cosine, Exponential, Linear, Schedule, Step
from pgexp.algorithms.trainer import RunTrainer
from pgexp.baselines.baseline import Baseline
from pgexp.execution.assembly import Run
from pgexp.functional.batch import Batch
from pgexp.functional.normalization import Moments
from pgexp.schema import names
from pgexp.schema.config import Budget
from tests.algorithms.conftest import MakeRun
from tests.episodes import Episode, batch_of
from tests.softmax_runs import FixedCollector, learn_from, train_state
from tests.streams import episode_seed


@dataclass
class RateRecorder(Algorithm):
    """An algorithm that changes nothing and records the learning rate at each update."""

    rates: list[float] = field(default_factory=list)

    def config_conflicts(self, baseline: Baseline) -> Sequence[str]:
        return []

    def bias_sources(self, baseline: Baseline) -> Sequence[str]:
        return []

    @property
    def depends_on_progress(self) -> bool:
        return False

    def update(self, state: TrainState, collector: Collector, progress: float) -> tuple[Batch, dict[str, float]]:
        self.rates.append(state.optimizer.param_groups[0]["lr"])
        return collector.collect(), {"loss/own": 7.0}


def trainer(schedule: Schedule | None = None, **budget: int) -> RunTrainer:
    state = train_state(np.zeros((1, 2)), lr=2.0)
    collector = FixedCollector(FOUR_STEPS)
    return RunTrainer(state, collector, RateRecorder(), schedule or Constant(), Budget(**budget), Moments.empty(1))


def episode(length: int, end: str = "terminated", first: int = 0) -> Episode:
    return Episode([[1]] * length, [0] * length, [1] * length, end, first=first)


FOUR_STEPS = batch_of(episode(3), episode(1, "truncated"))


def test_it_counts_steps_finished_episodes_and_updates() -> None:
    own = trainer(steps=100)
    learn_from(own, FOUR_STEPS)
    row = learn_from(own, batch_of(episode(5), episode(2, "open")))
    assert (own.steps, own.episodes, own.updates) == (11, 3, 2)
    assert (row[names.EPISODES], row[names.UPDATES]) == (3, 2)


def test_progress_is_the_share_of_the_budget_and_at_most_1() -> None:
    own = trainer(steps=10)
    shares = [own.progress]
    for _ in range(3):
        learn_from(own, FOUR_STEPS)
        shares.append(own.progress)
    assert shares == [0.0, 0.4, 0.8, 1.0]


def test_a_budget_may_count_finished_episodes() -> None:
    own = trainer(episodes=5)
    learn_from(own, FOUR_STEPS)
    assert own.progress == 0.4
    learn_from(own, batch_of(episode(2, "open")))
    assert own.progress == 0.4


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Constant(), [2.0, 2.0, 2.0]),
        (Constant(warmup=0.8), [0.0, 1.0, 2.0]),
        (Linear(), [2.0, 2 * 0.6, 2 * 0.2]),
        (Linear(warmup=0.2, final=0.5), [0.0, 2 * (1 - 0.25 / 2), 2 * (1 - 0.75 / 2)]),
        (Cosine(), [2.0, 1 + cos(0.4 * pi), 1 + cos(0.8 * pi)]),
        (Step(drops=2, factor=0.1), [2.0, 0.2, 0.02]),
        (Exponential(final=0.25), [2.0, 2 * 0.25**0.4, 2 * 0.25**0.8]),
    ],
)
def test_a_schedule_uses_the_steps_at_the_updates_start(schedule: Schedule, rates: list[float]) -> None:
    own = trainer(schedule, steps=10)
    recorded = [learn_from(own, FOUR_STEPS)[names.LEARNING_RATE] for _ in range(3)]
    assert own.algorithm.rates == pytest.approx(rates)
    assert recorded == own.algorithm.rates


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(), (1.0, 1.0, 1.0)),
        (Constant(warmup=1.0), (0.0, 0.5, 1.0)),
        (Linear(), (1.0, 0.5, 0.0)),
        (Linear(final=0.5), (1.0, 0.75, 0.5)),
        (Cosine(), (1.0, 0.5, 0.0)),
        (Cosine(final=0.2), (1.0, 0.6, 0.2)),
        (Step(drops=1, factor=0.5), (1.0, 0.5, 0.5)),
        (Step(drops=3, factor=0.5), (1.0, 0.25, 0.125)),
        (Exponential(final=0.01), (1.0, 0.1, 0.01)),
        (Exponential(final=0.01, warmup=0.5), (0.0, 1.0, 0.01)),
    ],
)
def test_schedules_at_the_beginning_the_middle_and_the_end(schedule: Schedule, factors: tuple[float, ...]) -> None:
    assert [schedule(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(factors)


def test_metrics_describe_the_episodes_that_ended() -> None:
    row = learn_from(trainer(steps=100), batch_of(episode(3), episode(1, "truncated"), episode(50, "open")))
    assert row[names.RETURN_MEAN] == 2.0
    assert (row[names.RETURN_MIN], row[names.RETURN_MAX]) == (1.0, 3.0)
    assert row[names.EPISODE_LENGTH] == 2.0
    assert row[names.TRUNCATED] == 1.0
    assert row["loss/own"] == 7.0


def test_an_episodes_length_counts_from_its_own_start() -> None:
    row = learn_from(trainer(steps=100), batch_of(episode(3, first=9), episode(1)))
    assert row[names.EPISODE_LENGTH] == (12 + 1) / 2


def test_without_an_ended_episode_their_metrics_are_absent() -> None:
    row = learn_from(trainer(steps=100), batch_of(episode(3, "open")))
    assert row.keys() == {
        *("loss/own", names.TRUNCATED, names.LEARNING_RATE, names.UPDATES, names.EPISODES),
    }


def trained(run: Run) -> list[dict[str, float]]:
    return list(run.trainer.train())


def test_the_update_that_reaches_the_budget_is_the_last(run_on: MakeRun) -> None:
    # Batches of 4 episodes of 5 steps: updates start at 0, 20 and 40 steps, and none at 60.
    run = run_on("Clock", "budget.steps=50", "algorithm.batch.episodes=4", length=5)
    assert len(trained(run)) == 3
    assert (run.trainer.steps, run.trainer.episodes) == (60, 12)


def test_a_budget_that_is_reached_exactly_is_not_exceeded(run_on: MakeRun) -> None:
    run = run_on("Clock", "budget.steps=40", "algorithm.batch.episodes=4", length=5)
    assert len(trained(run)) == 2
    assert run.trainer.steps == 40


def test_a_budget_may_count_episodes(run_on: MakeRun) -> None:
    run = run_on("Clock", "budget={steps:null,episodes:10}", "algorithm.batch.episodes=4", length=5)
    assert len(trained(run)) == 3
    assert (run.trainer.steps, run.trainer.episodes) == (60, 12)


def test_the_run_is_between_two_updates_at_each_yield(run_on: MakeRun) -> None:
    run = run_on("Clock", "budget.steps=60", "algorithm.batch.episodes=4", length=5)
    counters = [(run.trainer.steps, metrics[names.UPDATES]) for metrics in run.trainer.train()]
    assert counters == [(20, 1), (40, 2), (60, 3)]


def test_truncated_episodes_are_counted_for_each_time_limit(run_on: MakeRun) -> None:
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

    def test_earlier_updates_are_unchanged_and_the_next_raises(self, run_on: MakeRun) -> None:
        run = run_on("Poisoned", *self.SETTINGS, seed=1, poisoned=self.POISONED)
        updates = run.trainer.train()
        rows = [next(updates) for _ in range(3)]
        place = r"\(at step 0 of episode 3 in environment 2, each counted from 0\)"
        with pytest.raises(DivergenceError, match=f"the environment returned a reward that is not finite {place}"):
            next(updates)
        assert rows == trained(run_on("Poisoned", *self.SETTINGS, seed=1))[:3]

    def test_the_parameters_stay_those_before_the_failed_update(self, run_on: MakeRun) -> None:
        run = run_on("Poisoned", *self.SETTINGS, seed=1, poisoned=self.POISONED)
        with pytest.raises(DivergenceError):
            trained(run)
        before = run_on("Poisoned", *self.SETTINGS, "budget.steps=48", seed=1)  # three updates of 16 steps
        trained(before)
        assert torch.equal(run.parameters.vector, before.parameters.vector)
