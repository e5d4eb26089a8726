"""The t statistics of two samples: of their means, or of their interquartile means.

All reduce the last axis, so that thousands of resamples are one call.
"""

from typing import Final, NamedTuple

import numpy as np

from pgexp.statistics.estimates import FloatArray

ROUNDING: Final = 1e-14
"""Differences and errors below this share of the largest score are of rounding, and taken for 0."""


class Studentised(NamedTuple):
    """A difference, its standard error and the degrees of freedom of their ratio, each ``[...]``.

    Where nothing varies the error is 0, and the degrees of freedom are those of the larger sample.
    """

    difference: FloatArray
    error: FloatArray
    degrees: FloatArray

    @property
    def t(self) -> FloatArray:
        """The difference over its error; without an error 0 for no difference, infinite for one."""
        certain = np.copysign(np.inf, self.difference)
        without = np.where(self.difference == 0, 0.0, certain)
        return np.asarray(
            np.where(self.error == 0, without, self.difference / np.where(self.error == 0, 1, self.error))
        )


def of_independent(a: FloatArray, b: FloatArray, trim: float = 0.0) -> Studentised:
    """Return the statistic of two independent samples, ``[..., n_a]`` and ``[..., n_b]``: Welch's, trimmed Yuen's.

    Of each sample of n scores k = floor(trim n) are trimmed at each end, and h = n - 2 k are averaged. With
    s the deviation of the sample whose k extreme scores at each end are replaced by the next ones (Winsorised)::

        d = (n - 1) s^2 / (h (h - 1))        error^2 = d_a + d_b
        degrees = (d_a + d_b)^2 / (d_a^2 / (h_a - 1) + d_b^2 / (h_b - 1))

    Without trimming d is s^2 / n. Two scores or more a sample.

    Sources: Welch 1947, Biometrika 34; Yuen 1974, "The two-sample trimmed t for unequal population variances",
    Biometrika 61.
    """
    (mean_a, spread_a, h_a), (mean_b, spread_b, h_b) = _trimmed(a, trim), _trimmed(b, trim)
    total = spread_a + spread_b
    share = spread_a / np.where(total == 0, 1.0, total)  # of the squared error: no square of a small number is taken
    inverse = share**2 / (h_a - 1) + (1 - share) ** 2 / (h_b - 1)
    return _settled(Studentised(mean_a - mean_b, np.sqrt(total), np.asarray(1 / inverse)), a, b)


def of_pairs(a: FloatArray, b: FloatArray, trim: float = 0.0) -> Studentised:
    """Return the statistic of two samples paired along the last axis, ``[..., n]`` each.

    Without trimming it is the paired t statistic, of the differences. With it, Yuen's for dependent samples,
    whose difference is that of the trimmed means: with q the sums of squares and products of the Winsorised
    scores about their means, h and k as `of_independent`::

        error^2 = (q_aa + q_bb - 2 q_ab) / (h (h - 1))        degrees = h - 1

    Source: Yuen 1974; for dependent samples Wilcox 2012, "Introduction to robust estimation and hypothesis
    testing", section 5.9.5.
    """
    n = a.shape[-1]
    k = int(trim * n)
    h = n - 2 * k
    difference = _middle(a, k).mean(axis=-1) - _middle(b, k).mean(axis=-1)
    apart = _winsorised(a, k) - _winsorised(b, k)  # its sum of squares is q_aa + q_bb - 2 q_ab
    error = np.sqrt(_squares(apart) / (h * (h - 1)))
    return _settled(Studentised(np.asarray(difference), error, np.full(error.shape, h - 1.0)), a, b)


def _trimmed(sample: FloatArray, trim: float) -> tuple[FloatArray, FloatArray, int]:
    """Return the trimmed mean, its squared standard error, and how many scores it averages."""
    k = int(trim * sample.shape[-1])
    h = sample.shape[-1] - 2 * k
    squares = _squares(_winsorised(sample, k))
    return np.asarray(_middle(sample, k).mean(axis=-1)), squares / (h * (h - 1)), h


def _middle(sample: FloatArray, k: int) -> FloatArray:
    return np.sort(sample, axis=-1)[..., k : sample.shape[-1] - k] if k else sample


def _winsorised(sample: FloatArray, k: int) -> FloatArray:
    if not k:
        return sample
    ordered = np.sort(sample, axis=-1)
    return np.clip(sample, ordered[..., k, None], ordered[..., -k - 1, None])


def _squares(sample: FloatArray) -> FloatArray:
    return np.asarray(((sample - sample.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))


def _settled(statistic: Studentised, a: FloatArray, b: FloatArray) -> Studentised:
    least = ROUNDING * np.maximum(np.abs(a).max(axis=-1), np.abs(b).max(axis=-1))
    difference, error = (np.where(np.abs(part) <= least, 0.0, part) for part in statistic[:2])
    return Studentised(difference, error, statistic.degrees)
