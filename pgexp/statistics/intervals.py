"""Confidence and tolerance intervals of one sample, of a proportion, and of a mean over blocked configurations.

An interval function returns an `Interval`, or None if the sample is too small.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.point_estimates import FloatArray, iqm_and_error, mean_and_error


class Interval(NamedTuple):
    """A confidence interval in the units of the scores."""

    low: float
    high: float


class ToleranceInterval(NamedTuple):
    """An interval that holds the share `content` of all runs' scores with probability `confidence` over samples."""

    low: float
    high: float
    content: float
    confidence: float


def t_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return Student's interval of the mean of the scores ``[n]``; None for one score.

    With the (1 + level) / 2 quantile t of Student's t with n - 1 degrees of freedom, and the sample deviation s::

        mean -+ t s / sqrt(n)

    Exact for normal scores, approximate for many scores of other distributions. Raises ValueError as `check_sample`.
    """
    from scipy.special import stdtrit

    sample = check_sample(scores, level)
    if sample.size == 1:
        return None
    mean, error = mean_and_error(sample)
    reach = stdtrit(sample.size - 1, (1 + level) / 2) * error
    return Interval(float(mean - reach), float(mean + reach))


def trimmed_t_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the `trimmed_t_band` of one sample ``[n]``; None for one score. Raises ValueError as `check_sample`."""
    sample = check_sample(scores, level)
    if sample.size == 1:
        return None
    low, high = trimmed_t_band(sample, level)
    return Interval(float(low), float(high))


def trimmed_t_band(scores: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the interquartile mean's interval along the last axis: ``[..., n]`` to twice ``[...]``.

    With k = floor(n / 4) scores trimmed at each end, h = n - 2 k remaining, and the (1 + level) / 2 quantile t of
    Student's t with h - 1 degrees of freedom::

        IQM -+ t SE,    SE as in `iqm_and_error`

    Below four scores nothing is trimmed, and it is Student's interval of the mean. With four scores t has one degree of
    freedom, and the interval is far wider than with five.

    Source: Tukey and McLaughlin 1963, Sankhya A 25, 331-352. Raises ValueError if there are fewer than two scores, one
    is not finite, or the level is outside (0, 1).
    """
    from scipy.special import stdtrit

    check_level(level)
    iqm, error = iqm_and_error(scores)
    n = np.shape(scores)[-1]
    reach = stdtrit(n - 2 * (n // 4) - 1, (1 + level) / 2) * error
    return iqm - reach, iqm + reach


def order_statistic_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the interval of the median between two order statistics; None if n is too small for the level.

    With the sorted scores x_1 <= ... <= x_n it is [x_r, x_{n-r+1}] for the largest r with::

        P(r <= B <= n - r) >= level,    B binomial (n, 1/2)

    Its coverage is at least `level` for every distribution: .969 at n = 6 and .979 at n = 10 for a level of .95, which
    needs six scores.

    Source: David and Nagaraja 2003, "Order statistics", section 7.1. Raises ValueError as `check_sample`.
    """
    from scipy.special import bdtr

    sample = np.sort(check_sample(scores, level))
    n = sample.size
    miss = 2 * bdtr(np.arange((n + 1) // 2), n, 0.5)  # P(the interval from r = 1, 2, ... misses the median)
    r = int((miss <= 1 - level + 1e-12).sum())
    return None if r == 0 else Interval(float(sample[r - 1]), float(sample[n - r]))


def tolerance_interval(scores: ArrayLike, content: float = 0.9, level: float = 0.95) -> ToleranceInterval | None:
    """Return the narrowest pair of order statistics that holds a share `content` of all scores at that level.

    With the sorted scores it is [x_r, x_{n-r+1}] for the largest r whose confidence is at least `level`. For every
    continuous distribution the share inside is Beta(n - 2 r + 1, 2 r) distributed, so that::

        confidence = P(Beta(n - 2 r + 1, 2 r) >= content)

    If even the lowest and highest scores do not reach the level, they are returned with their lower confidence, which
    must be reported: for a content of .9, a level of .95 needs 46 scores, and 10 scores give .26. With ties the
    confidence is a lower bound. None for one score.

    Source: Wilks 1941, Annals of Mathematical Statistics 12, 91-96. Raises ValueError as `check_sample`, and if the
    content is outside (0, 1).
    """
    from scipy.special import betainc

    sample = np.sort(check_sample(scores, level))
    if not 0 < content < 1:
        raise ValueError(f"content must be strictly between 0 and 1 (got {content})")
    n = sample.size
    if n == 1:
        return None
    ranks = np.arange(1, n // 2 + 1)
    confidences = 1 - betainc(n - 2 * ranks + 1, 2 * ranks, content)
    r = max(1, int((confidences >= level).sum()))
    ends = float(sample[r - 1]), float(sample[n - r])
    return ToleranceInterval(*ends, content, float(confidences[r - 1]))


def proportion_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the exact interval of Clopper and Pearson of a probability, from a number of successes in n runs.

    With the quantile function B of the beta distribution and alpha = 1 - level::

        low = B(alpha / 2; s, n - s + 1)    high = B(1 - alpha / 2; s + 1, n - s)

    low is 0 without a success, high is 1 without a failure. Its coverage is at least `level` at every probability: no
    failure in 10 runs is compatible with a failure rate of up to 31 %.

    Source: Clopper and Pearson 1934, Biometrika 26, 404-413. Raises ValueError unless 0 <= successes <= n and n >= 1,
    and if the level is outside (0, 1).
    """
    from scipy.special import betaincinv

    check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1 (got {successes} of {n})")
    tail = (1 - level) / 2
    low = betaincinv(successes, n - successes + 1, tail) if successes > 0 else 0.0
    high = betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return Interval(float(low), float(high))


def mean_of_rows(scores: ArrayLike) -> float:
    """Return the mean of the row means of scores ``[rows, blocks]``; NaN marks a missing score.

    Each row has equal weight. Raises ValueError if a row has no score, or one is infinite.
    """
    return float(np.nanmean(_check_table(scores), axis=1).mean())


def blocked_mean_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the interval of `mean_of_rows` if only the blocks are independent; None if a row has one score.

    Rows are configurations and blocks are seeds: a lucky seed may raise the scores of all configurations. With the
    score y_rs of row r in block s, the mean m_r of the row's n_r scores, and K rows::

        e_s = (1 / K) sum_r sqrt(n_r / (n_r - 1)) (y_rs - m_r) / n_r        over the rows that have a score in s
        mean -+ t sqrt(sum_s e_s^2),    t with min_r n_r - 1 degrees of freedom

    If every row has every block, this is Student's interval of the block averages, exact for normal averages. If no
    block is in two rows, the variance is that of a mean of independent means, and the interval is conservative.

    Source: Bell & McCaffrey 2002, "Bias reduction in standard errors for linear regression with multi-stage samples";
    the rows are the regressors and the blocks the clusters. Raises ValueError as `mean_of_rows`, and if the level is
    outside (0, 1).
    """
    from scipy.special import stdtrit

    table = _check_table(scores)
    check_level(level)
    counts = np.isfinite(table).sum(axis=1, keepdims=True)
    if counts.min() < 2:
        return None
    means = np.nanmean(table, axis=1)
    weights = np.sqrt(counts / (counts - 1)) / counts / len(table)
    errors = np.nansum((table - means[:, None]) * weights, axis=0)
    reach = stdtrit(counts.min() - 1, (1 + level) / 2) * np.sqrt(np.square(errors).sum())
    return Interval(float(means.mean() - reach), float(means.mean() + reach))


def check_sample(scores: ArrayLike, level: float = 0.95) -> FloatArray:
    """Return the sample ``[n]`` as an array.

    Raises ValueError if it is not a vector of one or more finite numbers, or the level is outside (0, 1).
    """
    sample = np.asarray(scores, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError("scores must be a vector of one or more finite numbers")
    check_level(level)
    return sample


def check_level(level: float) -> None:
    """Raise ValueError if the level is not strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must be strictly between 0 and 1 (got {level})")


def _check_table(scores: ArrayLike) -> FloatArray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or np.isinf(table).any() or np.isnan(table).all(axis=1).any():
        raise ValueError("scores must be a table [rows, blocks] with one or more scores per row, none infinite")
    return table
