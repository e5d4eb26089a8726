"""Learner: a run's state, its budget, and its update from a batch."""

from dataclasses import dataclass

import numpy as np
import torch

from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.schedules import Schedule
from pgexp.schema import names
from pgexp.schema.config import Budget


@dataclass
class Learner:
    """A run's student, its algorithm and schedule, and the counters that its budget limits."""

    student: Student
    algorithm: Algorithm
    schedule: Schedule
    lr: float
    budget: Budget
    seen: Moments  # of the observations of past batches
    steps: int = 0
    episodes: int = 0
    updates: int = 0

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, from 0 to 1."""
        if self.budget.steps is not None:
            return min(1.0, self.steps / self.budget.steps)
        assert self.budget.episodes is not None  # the config has one of the two
        return min(1.0, self.episodes / self.budget.episodes)

    def learn(self, batch: Batch) -> dict[str, float]:
        """Learn from the batch; return the row of metrics of this update. Raises DivergenceError."""
        lr = self.lr * self.schedule(self.progress)
        for group in self.student.optimizer.param_groups:
            group["lr"] = lr
        observer = self.student.policy.observer
        as_seen = observer.seen(self.student.parameters, batch)
        learnt = self.algorithm.update(self.student, as_seen, self.progress)
        if observer.size is not None:
            self._see(batch)
        self.steps += batch.steps
        self.episodes += int((~batch.open).sum())
        self.updates += 1
        counted = {names.LEARNING_RATE: lr, names.UPDATES: self.updates, names.EPISODES: self.episodes}
        return _of_episodes(batch) | learnt | counted

    def _see(self, batch: Batch) -> None:
        """Merge the batch into the statistics that normalise the next batch."""
        observer = self.student.policy.observer
        self.seen = self.seen.merged(observer.cast(torch.from_numpy(batch.observations)).numpy())
        with torch.no_grad():
            for name, value in observer.statistics(self.seen).items():
                self.student.parameters[name].copy_(value)


def _of_episodes(batch: Batch) -> dict[str, float]:
    """Return the metrics of the episodes that ended in the batch; only their count if none did."""
    ended = ~batch.open
    counted = {names.TRUNCATED: float(np.sum(batch.truncated))}
    if not ended.any():
        return counted
    returns = batch.returns[ended]
    return counted | {
        names.RETURN_MEAN: float(returns.mean()),
        names.RETURN_MIN: float(returns.min()),
        names.RETURN_MAX: float(returns.max()),
        names.EPISODE_LENGTH: float(batch.episode_lengths[ended].mean()),
    }
