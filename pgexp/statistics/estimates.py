"""Point estimates: one number for what a set of seeds scores."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def interquartile_mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the mean of the middle half of the scores along the last axis: ``[..., n]`` to ``[...]``.

    With the scores sorted, x_1 <= ... <= x_n, and k = floor(n / 4)::

        IQM = (x_{k+1} + ... + x_{n-k}) / (n - 2 k)

    which is the mean trimmed by a quarter at each end. It moves less than the mean when one seed is lucky,
    and wastes less of the sample than the median. Up to a quarter of the seeds may collapse and hardly show
    in it: read it beside the minimum. Below four scores nothing is trimmed, and it is the mean.

    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice",
    arXiv:2108.13264, for one task. ValueError for no scores and for NaN.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=-1)
    n = ordered.shape[-1] if ordered.ndim else 0
    if n == 0 or np.isnan(ordered).any():
        raise ValueError("the interquartile mean needs one score or more, none of them NaN")
    trimmed = n // 4
    middle: NDArray[np.float64] = ordered[..., trimmed : n - trimmed]
    return np.asarray(middle.mean(axis=-1))
