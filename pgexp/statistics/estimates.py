"""Point estimates: one number for what a set of seeds scores."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def mean(scores: ArrayLike) -> FloatArray:
    """Return the mean of the scores along the last axis: ``[..., n]`` to ``[...]``.

    Every seed counts alike in it, so one that collapsed shows. ValueError for no scores and for NaN.
    """
    return np.asarray(_scores(scores, "the mean").mean(axis=-1))


def median(scores: ArrayLike) -> FloatArray:
    """Return the median of the scores along the last axis: ``[..., n]`` to ``[...]``.

    Of an even number of scores it is the mean of the middle two. ValueError for no scores and for NaN.
    """
    return np.asarray(np.median(_scores(scores, "the median"), axis=-1))


def interquartile_mean(scores: ArrayLike) -> FloatArray:
    """Return the mean of the middle half of the scores along the last axis: ``[..., n]`` to ``[...]``.

    With the scores sorted, x_1 <= ... <= x_n, and k = floor(n / 4)::

        IQM = (x_{k+1} + ... + x_{n-k}) / (n - 2 k)

    which is the mean trimmed by a quarter at each end. It moves less than the mean when one seed is lucky,
    and wastes less of the sample than the median. Up to a quarter of the seeds may collapse and hardly show
    in it: read it beside the minimum. Below four scores nothing is trimmed, and it is the mean.

    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice",
    arXiv:2108.13264, for one task. ValueError for no scores and for NaN.
    """
    ordered = np.sort(_scores(scores, "the interquartile mean"), axis=-1)
    n = ordered.shape[-1]
    trimmed = n // 4
    middle: FloatArray = ordered[..., trimmed : n - trimmed]
    return np.asarray(middle.mean(axis=-1))


def optimality_gap(scores: ArrayLike, target: float) -> FloatArray:
    """Return how far the scores stay below a target on average, along the last axis: ``[..., n]`` to ``[...]``.

    It is ``target - mean(min(score, target))``, in the units of the scores: 0 where every seed reaches the target.
    What a seed scores beyond the target makes up for nothing. Source: Agarwal et al. 2021, arXiv:2108.13264, section
    4.3. ValueError for no scores, and for NaN.
    """
    return np.asarray(mean(shortfalls(scores, target)))


def shortfalls(scores: ArrayLike, target: float) -> FloatArray:
    """Return how far each score stays below the target, 0 where it reaches it; the shape is kept.

    ValueError for no scores, for NaN, and for a target that is not finite.
    """
    if not np.isfinite(target):
        raise ValueError(f"the target of an optimality gap is a finite number, not {target}")
    return np.asarray(np.maximum(target - _scores(scores, "the optimality gap"), 0.0))


def _scores(scores: ArrayLike, what: str) -> FloatArray:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] == 0 or np.isnan(array).any():
        raise ValueError(f"{what} needs one score or more, none of them NaN")
    return array
