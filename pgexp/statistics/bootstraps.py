"""Bootstrap intervals of one sample that correct what the percentile interval gets wrong: BCa and studentised.

How either is read off resampled estimates (`bca`, `studentised`) holds for several samples, too: see `stratified`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.intervals import RESAMPLES, Interval, Statistic, bootstrapped, checked, resampled


def bca_interval(
    scores: ArrayLike, statistic: Statistic, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return the bias-corrected and accelerated bootstrap interval of a statistic; None for a single score.

    It takes other quantiles of the resampled statistic than `intervals.bootstrap_interval` does: for z = Phi^-1(p), at
    p = (1 - level) / 2 and (1 + level) / 2, the one at::

        Phi(z0 + (z0 + z) / (1 - a (z0 + z)))

    z0 = Phi^-1(share of resamples below the estimate, half of those that equal it), and the acceleration
    a = sum(d^3) / (6 sum(d^2)^(3/2)) with d the mean of the leave-one-out estimates minus each of them.

    Where seeds are few it is hardly wider, and no less wrong: of normal scores the 95 % interval holds the mean in .74,
    .84 and .90 at n = 3, 5 and 10 (simulated, analysis/coverage).

    Source: Efron 1987, JASA 82, 171-185; the acceleration by the jackknife, as Efron and Tibshirani 1993, equation
    14.15. ValueError as `intervals.bootstrap_interval`.
    """
    sample = checked(scores, level)
    if sample.size == 1:
        return None
    estimates = bootstrapped(sample, statistic, resamples, seed)
    return bca(np.asarray(statistic(sample)), estimates, [np.asarray(statistic(leave_one_out(sample)))], level)


def studentised_interval(
    scores: ArrayLike,
    estimator: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Return the studentised bootstrap interval of an estimate with a standard error, as of `standard_errors`; or None.

    With (T, SE) what the estimator gives for the scores and (T*, SE*) what it gives for a resample, and q the
    quantiles of (T* - T) / SE* over resamples::

        [T - q((1 + level) / 2) SE, T - q((1 - level) / 2) SE]

    Of lognormal scores it holds the mean more often than Student's does, in .89 for .82 at n = 5, where it is two
    thirds wider (simulated, analysis/coverage).

    None where there are so few scores that the quantiles are not finite, since too many resamples are of one score
    repeated (SE* = 0).

    Source: Efron and Tibshirani 1993, section 12.5. ValueError as `intervals.checked`.
    """
    sample = checked(scores, level)
    if sample.size == 1:
        return None
    return studentised(estimator(sample), estimator(resampled(sample, resamples, seed)), level)


def bca(value: FloatArray, estimates: FloatArray, left_out: Sequence[FloatArray], level: float) -> Interval:
    """Return the BCa interval, as `bca_interval` has it, of an estimate of one or more independent samples.

    `estimates` are those of resamples ``[resamples]``; `left_out` are, for each sample, those without one of its scores
    ``[n_i]``, as `acceleration` takes them.
    """
    from scipy.special import ndtr, ndtri

    resamples = estimates.size
    below = (np.mean(estimates < value) + np.mean(estimates <= value)) / 2
    bias = ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))  # finite where all resamples lie on one side
    shifted = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    stretch = 1 - acceleration(left_out) * shifted
    beyond = np.where(shifted > 0, np.inf, -np.inf)  # past the pole nothing is left but the extreme
    at = ndtr(bias + np.divide(shifted, stretch, out=beyond, where=stretch > 0))
    low, high = np.quantile(estimates, at)
    return Interval(float(low), float(high))


def studentised(
    found: tuple[FloatArray, FloatArray], drawn: tuple[FloatArray, FloatArray], level: float
) -> Interval | None:
    """Return the studentised interval, as `studentised_interval` has it, of an estimate and its standard error.

    `drawn` are the estimates and the standard errors of resamples, twice ``[resamples]``. A factor that all standard
    errors share cancels.
    """
    (value, error), (centres, errors) = found, drawn
    away = centres - value
    ratios = np.divide(away, errors, out=np.copysign(np.inf, away), where=errors > 0)
    ratios[away == 0] = 0
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    if not np.isfinite([low, high]).all():
        return None
    return Interval(float(value - high * error), float(value - low * error))


def acceleration(left_out: Sequence[FloatArray]) -> float:
    """Return the acceleration of an estimate by the jackknife, of leave-one-out estimates ``[n_i]`` of each sample.

    With d the mean of a sample's leave-one-out estimates minus each of them, and u = d (n_i - 1) / n_i, it is
    sum(u^3) / (6 sum(u^2)^(3/2)), the sums over the scores of all samples; 0 where no score matters.

    Source: Davison and Hinkley 1997, "Bootstrap methods and their application", section 5.3, with the influence of a
    score by the jackknife.
    """
    influences = np.concatenate([(one.mean() - one) * ((one.size - 1) / one.size) for one in left_out])
    scale = float((influences**2).sum())
    return float((influences**3).sum()) / (6 * scale**1.5) if scale > 0 else 0.0


def leave_one_out(sample: FloatArray) -> FloatArray:
    """Return the sample ``[n]`` without each of its scores in turn: ``[n, n - 1]``."""
    return np.stack([np.delete(sample, i) for i in range(sample.size)])
