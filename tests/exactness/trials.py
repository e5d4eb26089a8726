"""Repeated estimates of one gradient, and a test of their mean."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import chi2

from pgexp.algorithms.advantages import AdvantageEstimator
from pgexp.baselines.baseline import Baseline, Replay
from pgexp.functional.batch import Batch
from pgexp.functional.returns import starts
from tests.episodes import estimate
from tests.exactness.problems import Array, Played, Problem, play

ERROR_RATE = 1e-6  # probability that any correct estimate is rejected
TESTS = 200  # most estimates that are tested, each at the level ERROR_RATE / TESTS (Bonferroni)
SEED = 2026


@dataclass(frozen=True)
class Trial:
    """A problem's episodes, played once and cut into batches; each estimator receives the same batches."""

    problem: Problem
    batches: int
    size: int  # K, the episodes of a batch

    @cached_property
    def played(self) -> Played:
        return play(self.problem, self.batches * self.size, SEED)

    @cached_property
    def step_scores(self) -> Array:
        return self.problem.scores(self.played.observations, self.played.actions)

    @cached_property
    def cut(self) -> list[Batch]:
        """The batches. An episode's environment is its index among all episodes."""
        begin = np.append(starts(self.played.lengths), len(self.played.rewards))
        zeros, ended = np.zeros(self.size, dtype=np.int64), np.ones(self.size, dtype=bool)
        nothing = {
            "first": zeros,
            "terminated": ended,
            "truncated": ~ended,
            "final": np.zeros((self.size, self.played.observations.shape[1])),
            "returns": np.zeros(self.size),
            "numbers": zeros,
            "memory": np.zeros((self.size, 0)),
        }
        return [
            Batch(
                observations=self.played.observations[begin[at] : begin[at + self.size]],
                actions=self.played.actions[begin[at] : begin[at + self.size]],
                rewards=self.played.rewards[begin[at] : begin[at + self.size]],
                lengths=self.played.lengths[at : at + self.size],
                environments=np.arange(at, at + self.size),
                **nothing,
            )
            for at in range(0, self.batches * self.size, self.size)
        ]

    def scores(self, batch: Batch, weights: Array) -> Array:
        """Return each episode's sum of weighted scores, as baselines receive it."""
        of_steps = self.problem.scores(batch.observations, batch.actions)
        return np.add.reduceat(weights[:, None] * of_steps, starts(batch.lengths))

    def replay(self, batch: Batch) -> Replay:
        """Return the greedy episodes of a batch, as baselines receive them."""
        rewards, lengths = self._greedy
        return Replay(np.concatenate([rewards[index] for index in batch.environments]), lengths[batch.environments])

    @cached_property
    def _greedy(self) -> tuple[list[Array], Array]:
        played = play(self.problem, self.batches * self.size, SEED, greedy=True)
        return np.split(played.rewards, starts(played.lengths)[1:]), played.lengths

    def estimates(self, how: AdvantageEstimator, baseline: Baseline) -> Array:
        """Return the estimate from each batch, [batches, P]; the baseline is fitted to each batch after its use."""
        weights = []
        for batch in self.cut:
            found = estimate(how, baseline, batch)
            weights.append(found.weights / found.divisor)
            baseline.update(batch, found.returns)
        begin = starts(self.played.lengths)[:: self.size]
        return np.add.reduceat(np.concatenate(weights)[:, None] * self.step_scores, begin)


def distance(estimates: Array, expected: Array) -> float:
    """Return Hotelling's ``T^2 = n (mean - expected) . C^-1 (mean - expected)``, C the estimates' covariance.

    For thousands of estimates with the expected mean, it has the chi-squared distribution with P degrees of freedom.
    With a fitted baseline, estimates depend on earlier ones; their errors are a martingale, with the same limit.
    """
    off = estimates.mean(0) - expected
    covariance = np.atleast_2d(np.cov(estimates.T))
    return float(len(estimates) * off @ np.linalg.solve(covariance, off))


def bound(parameters: int) -> float:
    """Return the value that T^2 of a correct estimate exceeds with probability ERROR_RATE / TESTS."""
    return float(chi2.isf(ERROR_RATE / TESTS, parameters))
