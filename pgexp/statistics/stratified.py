"""Intervals of an estimate of several independent samples, each of which is resampled by itself (a stratum).

Each function takes samples ``[n_i]`` of two scores or more, and a function of them that reduces the last axis.
"""

from collections.abc import Callable

import numpy as np

from pgexp.statistics.bootstraps import bca, leave_one_out, studentised
from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.intervals import Interval

Samples = list[FloatArray]
"""A vector of scores a stratum, or resamples of each, ``[resamples, n_i]``."""
Statistic = Callable[[Samples], FloatArray]
"""An estimate of samples ``[..., n_i]``: ``[...]``."""
Estimator = Callable[[Samples], tuple[FloatArray, FloatArray]]
"""An estimate of samples ``[..., n_i]`` together with its standard error: twice ``[...]``."""


def stratified_t_interval(samples: Samples, statistic: Statistic, level: float, resamples: int, seed: int) -> Interval:
    """Return the estimate -+ t SE, SE the deviation of the estimate over resamples of n_i - 1 of the n_i scores.

    Drawing one fewer makes the variance of a mean unbiased; t has the degrees of freedom of Welch and Satterthwaite
    for the mean of the samples' means. Source: Rao and Wu 1988, JASA 83, 231-241; Satterthwaite 1946, Biometrics
    Bulletin 2, 110-114.
    """
    value, drawn = float(statistic(samples)), statistic(_resampled(samples, resamples, seed, fewer=1))
    reach = _t_quantile(samples, level) * float(drawn.std(ddof=1)) if np.ptp(drawn) > 0 else 0.0
    return Interval(value - reach, value + reach)


def stratified_bootstrap_interval(
    samples: Samples, statistic: Statistic, level: float, resamples: int, seed: int
) -> Interval:
    """Return the percentile interval, as of `intervals.bootstrap_interval`: the quantiles over resamples.

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.1.
    """
    drawn = statistic(_resampled(samples, resamples, seed))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def stratified_bca_interval(
    samples: Samples, statistic: Statistic, level: float, resamples: int, seed: int
) -> Interval:
    """Return the BCa interval, as of `bootstraps.bca_interval`, its acceleration by the stratified jackknife.

    That one leaves out one score of one sample at a time, and compares it with the others of that sample.
    """
    left_out = [statistic(_left_out(samples, i)) for i in range(len(samples))]
    return bca(statistic(samples), statistic(_resampled(samples, resamples, seed)), left_out, level)


def stratified_studentised_interval(
    samples: Samples, estimator: Estimator, level: float, resamples: int, seed: int
) -> Interval | None:
    """Return the studentised interval, as of `bootstraps.studentised_interval`; None where its ends are not finite."""
    return studentised(estimator(samples), estimator(_resampled(samples, resamples, seed)), level)


def _t_quantile(samples: Samples, level: float) -> float:
    """Return the quantile of t, with Satterthwaite's degrees of freedom of the mean of the samples' means."""
    from scipy.special import stdtrit

    variances = np.array([sample.var(ddof=1) / sample.size for sample in samples])
    total = float((variances**2 / [sample.size - 1 for sample in samples]).sum())
    degrees = float(variances.sum()) ** 2 / total if total > 0 else 1.0
    return float(stdtrit(degrees, (1 + level) / 2))


def _left_out(samples: Samples, left: int) -> Samples:
    """Return the samples without each score of one of them in turn: ``[n, n - 1]`` of that one, ``[n, n_i]`` else."""
    rows = samples[left].size
    return [
        leave_one_out(sample) if i == left else np.broadcast_to(sample, (rows, sample.size))
        for i, sample in enumerate(samples)
    ]


def _resampled(samples: Samples, resamples: int, seed: int, fewer: int = 0) -> Samples:
    """Return resamples of each sample, each of as many scores or so many fewer: ``[resamples, n_i - fewer]``."""
    draw = np.random.default_rng(seed).integers
    return [sample[draw(sample.size, size=(resamples, sample.size - fewer))] for sample in samples]
