"""Measures of predictions and updates."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pgexp.functional.arrays import Floats

_ROUNDING = 1e-9  # relative; far above the rounding of float64 sums, far below real differences


def deviation(x: Floats, scale: Floats) -> float:
    """Return the standard deviation of x, or 0 if it is within the rounding of numbers as large as `scale`.

    x, scale: [S]. The computed deviation of equal numbers is some 1e-16 of their size; dividing by it makes no sense.
    """
    assert x.ndim == scale.ndim == 1, (x.shape, scale.shape)
    found = float(np.std(x))
    return found if found > _ROUNDING * float(np.abs(scale).max(initial=0.0)) else 0.0


def explained_variance(prediction: Floats, target: Floats) -> float | None:
    """Return ``1 - Var(target - prediction) / Var(target)``, or None if the target does not vary.

    prediction, target: [S]. A perfect prediction has 1, also if it is off by a constant; a constant has 0.
    """
    assert prediction.ndim == target.ndim == 1, (prediction.shape, target.shape)
    spread = deviation(target, target)
    return 1.0 - float(np.var(target - prediction)) / spread**2 if spread > 0 else None


def sum_variance(parts: Floats) -> float:
    """Return the variance of a sum of E independent vectors, estimated from their differences.

    parts: [E, P], E at least 2; ``E / (E - 1) sum_e |x_e - mean|^2``, the trace of the sum's covariance. For a mean of
    K episodes' gradients g_e the parts are g_e / K, and it is the trace of their sample covariance over K.
    """
    assert parts.ndim == 2, parts.shape
    count = len(parts)
    return float(np.square(parts - parts.mean(0)).sum()) * count / (count - 1)


def dead_units(hidden: Sequence[Tensor]) -> float:
    """Return the share of units with equal outputs on every row. hidden: one [S, units] per layer."""
    dead, units = 0, 0
    for layer in hidden:
        assert layer.ndim == 2, layer.shape
        low, high = torch.aminmax(layer, dim=0)
        dead += int((low == high).sum())
        units += layer.shape[1]
    return dead / units
