"""The area under a learning curve."""

import numpy as np
from numpy.typing import ArrayLike


def area_under_curve(steps: ArrayLike, returns: ArrayLike, low: float, high: float) -> float:
    """Return the mean height of a learning curve from `low` to `high` steps, in the units of return.

    The curve goes straight from each point of steps ``[n]``, increasing, and returns ``[n]`` to the next; the area
    below it within the range, exact by the trapezoidal rule, is divided by the range's length. So runs that were
    evaluated at different steps can be compared over the range that they share.

    ValueError for a curve that does not cover the range, for an empty range, steps that do not increase, and NaN.
    """
    at, heights = np.asarray(steps, dtype=np.float64), np.asarray(returns, dtype=np.float64)
    if at.shape != heights.shape or at.ndim != 1:
        raise ValueError(f"one return for each step, not steps {at.shape} and returns {heights.shape}")
    if not (np.isfinite(heights).all() and np.isfinite(at).all() and (np.diff(at) > 0).all()):
        raise ValueError("a curve has finite returns at increasing steps")
    if at.size == 0 or not at[0] <= low < high <= at[-1]:
        reach = f"from {at[0]:g} to {at[-1]:g}" if at.size else "nowhere"
        raise ValueError(f"the curve reaches {reach}, not from {low:g} to {high:g}")
    within = np.concatenate([[low], at[(at > low) & (at < high)], [high]])
    return float(np.trapezoid(np.interp(within, at, heights), within) / (high - low))
