"""Bootstrap intervals that pgexp does not ship, for comparison: percentile, BCa and studentised.

Each function takes one or more independent samples ``[n_i]`` of two or more scores; each sample is resampled separately
(a stratum). `STATISTICS` and `ESTIMATORS` reduce the last axis of samples ``[..., n_i]``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from pgexp.statistics.estimation import RESAMPLES, Samples
from pgexp.statistics.intervals import Interval
from pgexp.statistics.point_estimates import FloatArray, interquartile_mean, mean_and_error

Statistic = Callable[[Samples], FloatArray]
"""An estimate of samples ``[..., n_i]``: ``[...]``."""
Estimator = Callable[[Samples], tuple[FloatArray, FloatArray]]
"""An estimate of samples ``[..., n_i]`` and its standard error: twice ``[...]``."""


def percentile_interval(
    samples: Samples, statistic: Statistic, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the percentile bootstrap interval: the quantiles of the statistic over resamples.

    Sources: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13; for several samples Agarwal et
    al. 2021, arXiv:2108.13264, section 4.1.
    """
    low, high = np.quantile(statistic(resampled(samples, resamples, seed)), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bca_interval(
    samples: Samples, statistic: Statistic, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the bias-corrected and accelerated bootstrap interval of a statistic.

    For z = Phi^-1(p), with p = (1 - level) / 2 and (1 + level) / 2, its ends are the quantiles over resamples at::

        Phi(z0 + (z0 + z) / (1 - a (z0 + z)))

    with z0 = Phi^-1(share of resamples below the estimate, half of those that equal it) and the `acceleration` a.

    Sources: Efron 1987, JASA 82, 171-185; the acceleration by the jackknife as Efron and Tibshirani 1993, equation
    14.15; for several samples Davison and Hinkley 1997, "Bootstrap methods and their application", section 5.3.
    """
    from scipy.special import ndtr, ndtri

    value, estimates = statistic(samples), statistic(resampled(samples, resamples, seed))
    below = (np.mean(estimates < value) + np.mean(estimates <= value)) / 2
    bias = ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))  # finite if all resamples are on one side
    shifted = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    stretch = 1 - acceleration([statistic(leave_one_out(samples, i)) for i in range(len(samples))]) * shifted
    beyond = np.where(shifted > 0, np.inf, -np.inf)  # past the pole only the extreme is left
    at = ndtr(bias + np.divide(shifted, stretch, out=beyond, where=stretch > 0))
    low, high = np.quantile(estimates, at)
    return Interval(float(low), float(high))


def studentised_interval(
    samples: Samples, estimator: Estimator, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return the studentised bootstrap interval of an estimate with a standard error; None if it is not finite.

    With the estimate T and standard error SE of the samples, T* and SE* of a resample, and the quantiles q of
    (T* - T) / SE* over resamples::

        [T - q((1 + level) / 2) SE, T - q((1 - level) / 2) SE]

    With few scores too many resamples repeat one score (SE* = 0), and the quantiles are infinite. A factor that all
    standard errors share cancels. Source: Efron and Tibshirani 1993, section 12.5.
    """
    value, error = estimator(samples)
    centers, errors = estimator(resampled(samples, resamples, seed))
    deviations = centers - value
    ratios = np.divide(deviations, errors, out=np.copysign(np.inf, deviations), where=errors > 0)
    ratios[deviations == 0] = 0
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    if not np.isfinite([low, high]).all():
        return None
    return Interval(float(value - high * error), float(value - low * error))


def acceleration(left_out: Sequence[FloatArray]) -> float:
    """Return the acceleration of an estimate from the leave-one-out estimates ``[n_i]`` of each sample.

    With the mean d of a sample's leave-one-out estimates minus each of them, and u = d (n_i - 1) / n_i, it is
    sum(u^3) / (6 sum(u^2)^(3/2)) over the scores of all samples; 0 if no score matters.
    """
    influences = np.concatenate([(one.mean() - one) * ((one.size - 1) / one.size) for one in left_out])
    scale = float((influences**2).sum())
    return float((influences**3).sum()) / (6 * scale**1.5) if scale > 0 else 0.0


def leave_one_out(samples: Samples, left: int) -> Samples:
    """Return the samples without each score of sample `left` in turn: ``[n, n - 1]`` of it, ``[n, n_i]`` of others."""
    rows = samples[left].size
    return [
        np.stack([np.delete(sample, row) for row in range(rows)])
        if i == left
        else np.broadcast_to(sample, (rows, sample.size))
        for i, sample in enumerate(samples)
    ]


def resampled(samples: Samples, resamples: int, seed: int) -> Samples:
    """Return resamples with replacement of each sample: ``[resamples, n_i]``."""
    draw = np.random.default_rng(seed).integers
    return [sample[draw(sample.size, size=(resamples, sample.size))] for sample in samples]


def _means(samples: Samples) -> FloatArray:
    return np.stack([sample.mean(axis=-1) for sample in samples], axis=-1)


def _median(samples: Samples) -> FloatArray:
    return np.asarray(np.median(samples[0] if len(samples) == 1 else _means(samples), axis=-1))


def _mean_and_error(samples: Samples) -> tuple[FloatArray, FloatArray]:
    """Return the mean of the samples' means and its standard error: SE^2 = sum(SE_i^2) / samples^2."""
    errors = np.stack([mean_and_error(sample)[1] for sample in samples], axis=-1)
    return _means(samples).mean(axis=-1), np.sqrt((errors**2).sum(axis=-1)) / len(samples)


def _pooled_iqm_and_error(samples: Samples) -> tuple[FloatArray, FloatArray]:
    """Return the pooled interquartile mean and its standard error: SE^2 = sum((n_i SE_i)^2) / h^2.

    The scores are Winsorised at the outermost of the h scores of the pool that are kept, and SE_i is the standard error
    of the mean of sample i's. For one sample it equals that of `iqm_and_error` up to a factor that depends on n.
    """
    pooled = np.sort(np.concatenate(samples, axis=-1), axis=-1)
    n, cut = pooled.shape[-1], pooled.shape[-1] // 4
    lowest, highest = pooled[..., [cut]], pooled[..., [n - cut - 1]]
    errors = [sample.shape[-1] * mean_and_error(sample.clip(lowest, highest))[1] for sample in samples]
    return interquartile_mean(pooled), np.sqrt((np.stack(errors, axis=-1) ** 2).sum(axis=-1)) / (n - 2 * cut)


STATISTICS: Final[Mapping[str, Statistic]] = {
    "mean": lambda samples: np.asarray(_means(samples).mean(axis=-1)),
    "median": _median,
    "iqm": lambda samples: interquartile_mean(np.concatenate(samples, axis=-1)),
}
"""Of several samples the median of the means; of one sample its median."""
ESTIMATORS: Final[Mapping[str, Estimator]] = {"mean": _mean_and_error, "iqm": _pooled_iqm_and_error}
