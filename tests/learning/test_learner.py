"""Counters, budget and learning-rate schedule of a learner."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi

import numpy as np
import pytest

from pgexp.baselines.baseline import Baseline
from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.learner import Learner
from pgexp.learning.schedules import Constant, Cosine, Exponential, Linear, Schedule, Step
from pgexp.schema import names
from pgexp.schema.config import Budget
from tests.batches import student_of
from tests.episodes import Episode, batch_of


@dataclass
class RateRecorder(Algorithm):
    """An algorithm that learns nothing and records the learning rate at each update."""

    rates: list[float] = field(default_factory=list)

    def objections(self, baseline: Baseline) -> Sequence[str]:
        return []

    def biases(self, baseline: Baseline) -> Sequence[str]:
        return []

    @property
    def depends_on_progress(self) -> bool:
        return False

    def update(self, student: Student, batch: Batch, progress: float) -> dict[str, float]:
        self.rates.append(student.optimizer.param_groups[0]["lr"])
        return {"loss/own": 7.0}


def learner(schedule: Schedule | None = None, **budget: int) -> Learner:
    student = student_of(np.zeros((1, 2)))
    return Learner(student, RateRecorder(), schedule or Constant(), 2.0, Budget(**budget), Moments.none(1))


def episode(length: int, end: str = "terminated", first: int = 0) -> Episode:
    return Episode([[1]] * length, [0] * length, [1] * length, end, first=first)


FOUR_STEPS = batch_of(episode(3), episode(1, "truncated"))


def test_it_counts_steps_finished_episodes_and_updates() -> None:
    own = learner(steps=100)
    own.learn(FOUR_STEPS)
    row = own.learn(batch_of(episode(5), episode(2, "open")))
    assert (own.steps, own.episodes, own.updates) == (11, 3, 2)
    assert (row[names.EPISODES], row[names.UPDATES]) == (3, 2)


def test_progress_is_the_share_of_the_budget_and_at_most_1() -> None:
    own = learner(steps=10)
    shares = [own.progress]
    for _ in range(3):
        own.learn(FOUR_STEPS)
        shares.append(own.progress)
    assert shares == [0.0, 0.4, 0.8, 1.0]


def test_a_budget_may_count_finished_episodes() -> None:
    own = learner(episodes=5)
    own.learn(FOUR_STEPS)
    assert own.progress == 0.4
    own.learn(batch_of(episode(2, "open")))
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
    own = learner(schedule, steps=10)
    recorded = [own.learn(FOUR_STEPS)[names.LEARNING_RATE] for _ in range(3)]
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
    row = learner(steps=100).learn(batch_of(episode(3), episode(1, "truncated"), episode(50, "open")))
    assert row[names.RETURN_MEAN] == 2.0
    assert (row[names.RETURN_MIN], row[names.RETURN_MAX]) == (1.0, 3.0)
    assert row[names.EPISODE_LENGTH] == 2.0
    assert row[names.TRUNCATED] == 1.0
    assert row["loss/own"] == 7.0


def test_an_episodes_length_counts_from_its_own_start() -> None:
    row = learner(steps=100).learn(batch_of(episode(3, first=9), episode(1)))
    assert row[names.EPISODE_LENGTH] == (12 + 1) / 2


def test_without_an_ended_episode_their_metrics_are_absent() -> None:
    row = learner(steps=100).learn(batch_of(episode(3, "open")))
    assert row.keys() == {
        *("loss/own", names.TRUNCATED, names.LEARNING_RATE, names.UPDATES, names.EPISODES),
    }
