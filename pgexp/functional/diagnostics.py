"""Numbers that say how well a prediction or an update did."""

import numpy as np

from pgexp.functional.arrays import Floats

_ROUNDING = 1e-9  # relative; what sums of float64 are off by is far less, what differs for a reason far more


def deviation(x: Floats, of: Floats) -> float:
    """Return the standard deviation of x, or 0 where it is no more than the rounding of numbers as large as `of`.

    x, of: [S]. Equal numbers have a computed deviation of some 1e-16 of their size, which nothing should be divided by.
    """
    assert x.ndim == of.ndim == 1, (x.shape, of.shape)
    found = float(np.std(x))
    return found if found > _ROUNDING * float(np.abs(of).max(initial=0.0)) else 0.0


def explained_variance(prediction: Floats, target: Floats) -> float | None:
    """Return ``1 - Var(target - prediction) / Var(target)``, or None where the target does not vary.

    prediction, target: [S]. 1 is a perfect prediction up to a constant; 0 is what a constant gives.
    """
    assert prediction.ndim == target.ndim == 1, (prediction.shape, target.shape)
    spread = deviation(target, target)
    return 1.0 - float(np.var(target - prediction)) / spread**2 if spread > 0 else None
