"""Yuen's t tests of trimmed means, which pgexp does not ship, for comparison with Welch's and the paired t."""

import numpy as np

from pgexp.statistics.point_estimates import FloatArray
from pgexp.statistics.two_sample_tests import TStatistic, without_rounding


def yuen_t(a: FloatArray, b: FloatArray, trim: float = 0.25) -> TStatistic:
    """Return Yuen's t statistic of two independent samples, ``[..., n_a]`` and ``[..., n_b]``.

    Of n scores k = floor(trim n) are trimmed at each end, and h = n - 2 k are averaged. With the deviation s of the
    Winsorised sample, whose k extreme scores at each end are replaced by the next ones::

        d = (n - 1) s^2 / (h (h - 1))        error^2 = d_a + d_b
        degrees = (d_a + d_b)^2 / (d_a^2 / (h_a - 1) + d_b^2 / (h_b - 1))

    Source: Yuen 1974, "The two-sample trimmed t for unequal population variances", Biometrika 61.
    """
    (mean_a, error_a, h_a), (mean_b, error_b, h_b) = _trimmed(a, trim), _trimmed(b, trim)
    total = error_a + error_b
    share = error_a / np.where(total == 0, 1.0, total)
    inverse = share**2 / (h_a - 1) + (1 - share) ** 2 / (h_b - 1)
    return without_rounding(mean_a - mean_b, np.sqrt(total), np.asarray(1 / inverse), a, b)


def paired_yuen_t(a: FloatArray, b: FloatArray, trim: float = 0.25) -> TStatistic:
    """Return Yuen's t statistic for dependent samples, paired along the last axis, ``[..., n]`` each.

    With the sums of squares and products q of the Winsorised scores about their means, h and k as in `yuen_t`::

        error^2 = (q_aa + q_bb - 2 q_ab) / (h (h - 1))        degrees = h - 1

    Source: Wilcox 2012, "Introduction to robust estimation and hypothesis testing", section 5.9.5.
    """
    k = int(trim * a.shape[-1])
    h = a.shape[-1] - 2 * k
    difference = _middle(a, k).mean(axis=-1) - _middle(b, k).mean(axis=-1)
    error = np.sqrt(_sum_of_squares(_winsorised(a, k) - _winsorised(b, k)) / (h * (h - 1)))
    return without_rounding(difference, error, np.full(error.shape, h - 1.0), a, b)


def _trimmed(sample: FloatArray, trim: float) -> tuple[FloatArray, FloatArray, int]:
    """Return the trimmed mean, its squared standard error, and the number of scores that it averages."""
    k = int(trim * sample.shape[-1])
    h = sample.shape[-1] - 2 * k
    return _middle(sample, k).mean(axis=-1), _sum_of_squares(_winsorised(sample, k)) / (h * (h - 1)), h


def _middle(sample: FloatArray, k: int) -> FloatArray:
    return np.sort(sample, axis=-1)[..., k : sample.shape[-1] - k]


def _winsorised(sample: FloatArray, k: int) -> FloatArray:
    ordered = np.sort(sample, axis=-1)
    return np.clip(sample, ordered[..., k, None], ordered[..., -k - 1, None])


def _sum_of_squares(sample: FloatArray) -> FloatArray:
    return np.asarray(((sample - sample.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))
