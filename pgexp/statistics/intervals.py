"""Confidence intervals, most often over seeds, and how far they can be trusted.

An interval function takes a sample ``[n]`` and a statistic that reduces the last axis, and returns an
`Interval`, or None where the sample is too small to say anything.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
"""A function of samples ``[..., n]`` that reduces the last axis: one estimate a sample, ``[...]``."""


class Interval(NamedTuple):
    """A confidence interval, in the units of the scores."""

    low: float
    high: float


def bootstrap_interval(
    scores: ArrayLike, statistic: Statistic, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval | None:
    """Return the percentile bootstrap interval of a statistic of the scores ``[n]``; None for a single score.

    The sample is drawn anew `resamples` times, n scores each with replacement; the interval reaches from the
    (1 - level) / 2 to the (1 + level) / 2 quantile of the statistic over those samples. The draws come from a
    generator of its own, so that equal arguments give equal intervals.

    It is too narrow where seeds are few. The share of 95 % intervals that hold the truth (simulated, normal
    scores):

        ======  =====  =====  ======  ======
        n           3      5      10      20
        mean      .76    .85     .90     .93
        IQM       .76    .90     .93     .94
        ======  =====  =====  ======  ======

    For the mean that is close to P(abs(t) < 1.96 sqrt((n - 1) / n)), t with n - 1 degrees of freedom. Equal
    scores give an interval of no width: no resampling knows of a collapse that the sample does not hold.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13. ValueError for scores
    that are not a vector of one or more finite numbers, for a level outside (0, 1), and for a statistic that
    does not reduce the last axis alone.
    """
    sample = _sample(scores)
    if not 0 < level < 1:
        raise ValueError(f"level is a probability strictly between 0 and 1, not {level}")
    if sample.size == 1:
        return None
    estimates = np.asarray(statistic(resampled(sample, resamples, seed)))
    if estimates.shape != (resamples,):
        raise ValueError(f"the statistic must reduce the last axis only; it gave the shape {estimates.shape}")
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def t_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return Student's interval of the mean of the scores ``[n]``; None for a single score.

    With t the (1 + level) / 2 quantile of Student's t with n - 1 degrees of freedom, and s the sample's deviation,
    n - 1 in its denominator::

        mean -+ t s / sqrt(n)

    Exact for normal scores, close to it for others where there are many of them. ValueError as `bootstrap_interval`.
    """
    from scipy.special import stdtrit

    sample = _sample(scores)
    if not 0 < level < 1:
        raise ValueError(f"level is a probability strictly between 0 and 1, not {level}")
    if sample.size == 1:
        return None
    reach = stdtrit(sample.size - 1, (1 + level) / 2) * sample.std(ddof=1) / np.sqrt(sample.size)
    return Interval(float(sample.mean() - reach), float(sample.mean() + reach))


def resampled(sample: FloatArray, resamples: int, seed: int) -> FloatArray:
    """Return `resamples` samples drawn with replacement from the sample ``[n]``: ``[resamples, n]``."""
    n = sample.size
    drawn: FloatArray = sample[np.random.default_rng(seed).integers(n, size=(resamples, n))]
    return drawn


def _sample(scores: ArrayLike) -> FloatArray:
    sample = np.asarray(scores, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError("an interval needs a vector of one or more finite scores")
    return sample
