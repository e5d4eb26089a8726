"""Several tests at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return the p values ``[m]`` adjusted for their number by Holm's method, in their order.

    With the p values sorted, p_1 <= ... <= p_m::

        adjusted_i = min(1, max over j <= i of (m - j + 1) p_j)

    Calling those at most alpha significant errs in any of the m with probability alpha at most, however the tests
    depend on each other. NaN stands for a test that could not be made: it stays, and does not count.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure". ValueError for a p outside [0, 1].
    """
    given = np.asarray(p, dtype=np.float64)
    if given.ndim != 1 or (given < 0).any() or (given > 1).any():
        raise ValueError("Holm's method takes a vector of probabilities")
    order = np.argsort(given)[: np.count_nonzero(~np.isnan(given))]  # NaN is sorted to the end
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(order.size, 0, -1)), 1)
    return adjusted
