"""Numbers that say how well a prediction or an update did."""

import numpy as np

from pgexp.functional.arrays import Floats


def explained_variance(prediction: Floats, target: Floats) -> float | None:
    """Return ``1 - Var(target - prediction) / Var(target)``, or None where the target does not vary.

    prediction, target: [S]. 1 is a perfect prediction up to a constant; 0 is what a constant gives.
    """
    assert prediction.ndim == target.ndim == 1, (prediction.shape, target.shape)
    variance = float(np.var(target))
    return 1.0 - float(np.var(target - prediction)) / variance if variance > 0 else None
