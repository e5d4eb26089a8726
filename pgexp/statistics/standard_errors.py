"""Estimates together with their standard errors."""

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.estimates import FloatArray


def mean_and_error(scores: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the mean and its standard error, s / sqrt(n), along the last axis: ``[..., n]`` to twice ``[...]``.

    ValueError for fewer than two scores, and where one is not finite.
    """
    return _trimmed(scores, 0)


def iqm_and_error(scores: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the interquartile mean and its standard error along the last axis: ``[..., n]`` to twice ``[...]``.

    With k = floor(n / 4) scores trimmed at each end and h = n - 2 k left::

        SE^2 = SSD / (h (h - 1))

    SSD is the sum of squared deviations of the Winsorised scores from their mean: each trimmed score counts as the
    outermost one that is kept. Source: Tukey and McLaughlin 1963, Sankhya A 25, 331-352. ValueError for fewer than two
    scores, and where one is not finite.
    """
    return _trimmed(scores, np.shape(scores)[-1] // 4 if np.ndim(scores) else 0)


def _trimmed(scores: ArrayLike, cut: int) -> tuple[FloatArray, FloatArray]:
    """Return the mean without the `cut` lowest and highest scores, and its standard error."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] < 2 or not np.isfinite(array).all():
        raise ValueError("a standard error needs two scores or more, all of them finite")
    ordered, n = np.sort(array, axis=-1), array.shape[-1]
    left = n - 2 * cut
    lowest, highest = ordered[..., [cut]], ordered[..., [n - cut - 1]]
    error = np.sqrt(ordered.clip(lowest, highest).var(axis=-1) * n / (left * (left - 1)))
    error = np.where((lowest == highest)[..., 0], 0.0, error)  # exactly, where rounding would leave a trace
    return np.asarray(ordered[..., cut : n - cut].mean(axis=-1)), error
