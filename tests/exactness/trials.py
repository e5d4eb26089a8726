"""Many estimates of one gradient, and whether they agree with what it is."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import chi2

from pgexp.baselines.baseline import Baseline, Replay
from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.functional.returns import starts
from pgexp.learning.estimator import Estimator
from tests.exactness.problems import Array, Played, Problem, play

ERROR_RATE = 1e-6  # that any estimate which is right is found wrong
TESTS = 200  # no more than so many estimates are tested, each at a level of ERROR_RATE / TESTS (Bonferroni)
SEED = 2026


@dataclass(frozen=True)
class Trial:
    """A problem's episodes, played once and cut into batches; every estimator gets the same ones."""

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
        """The batches; an episode's slot is its place among all."""
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
                slots=np.arange(at, at + self.size),
                **nothing,
            )
            for at in range(0, self.batches * self.size, self.size)
        ]

    def scores(self, batch: Batch, weights: Array) -> Array:
        """Return each episode's sum of weighed scores, as a baseline is handed it."""
        of_steps = self.problem.scores(batch.observations, batch.actions)
        return np.add.reduceat(weights[:, None] * of_steps, starts(batch.lengths))

    def replay(self, batch: Batch) -> Replay:
        """Return the greedy episodes of a batch, as a baseline is handed them."""
        rewards, lengths = self._greedy
        return Replay(np.concatenate([rewards[slot] for slot in batch.slots]), lengths[batch.slots])

    @cached_property
    def _greedy(self) -> tuple[list[Array], Array]:
        played = play(self.problem, self.batches * self.size, SEED, greedy=True)
        return np.split(played.rewards, starts(played.lengths)[1:]), played.lengths

    def estimates(self, how: Estimator, baseline: Baseline) -> Array:
        """Return the estimate from each batch, [batches, P]; the baseline learns from each after it was used."""
        past, weights = Moments.none(1), []
        for batch in self.cut:
            estimate = how.estimate(baseline, batch, past)
            weights.append(estimate.weights / estimate.divisor)
            baseline.update(batch, estimate.credit)
        begin = starts(self.played.lengths)[:: self.size]
        return np.add.reduceat(np.concatenate(weights)[:, None] * self.step_scores, begin)


def distance(estimates: Array, expected: Array) -> float:
    """Return Hotelling's ``T^2 = n (mean - expected) . C^-1 (mean - expected)``, C the estimates' covariance.

    For thousands of estimates about the truth it has the chi-squared distribution of P degrees of freedom. A baseline
    that learns makes them depend on those before; about the truth they stay a martingale, with the same limit.
    """
    off = estimates.mean(0) - expected
    covariance = np.atleast_2d(np.cov(estimates.T))
    return float(len(estimates) * off @ np.linalg.solve(covariance, off))


def bound(parameters: int) -> float:
    """Return what T^2 of a right estimate exceeds with a probability of ERROR_RATE / TESTS."""
    return float(chi2.isf(ERROR_RATE / TESTS, parameters))
