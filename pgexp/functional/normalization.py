"""Running moments and the normalization of observations."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgexp.functional.arrays import Floats


@dataclass(frozen=True)
class Moments:
    """Count, mean and population variance of the samples so far, per component, in float64."""

    count: int
    mean: Floats  # [O]
    variance: Floats  # [O]

    @classmethod
    def empty(cls, size: int) -> Self:
        """Return the moments of an empty sample: mean 0 and variance 1, which normalize to the identity."""
        return cls(0, np.zeros(size), np.ones(size))

    def merged(self, x: NDArray[np.generic]) -> "Moments":
        """Return the moments of the samples so far and x, [S, O] (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        assert x.ndim == 2, x.shape
        count, mean, variance = len(x), x.mean(0, dtype=np.float64), x.var(0, dtype=np.float64)
        if not self.count:
            return Moments(count, mean, variance)
        total = self.count + count
        difference = mean - self.mean
        squares = self.count * self.variance + count * variance + difference**2 * (self.count * count / total)
        return Moments(total, self.mean + difference * (count / total), squares / total)


def normalized(x: Tensor, mean: Tensor, scale: Tensor, limit: float | None) -> Tensor:
    """Return ``(x - mean) * scale``, clipped to +-limit. x: [B, O], mean, scale: [O]; the result: [B, O].

    Only elementwise differences and products: a compiled policy computes the same bits when it acts.
    """
    assert x.ndim == 2, x.shape
    found = (x - mean) * scale
    return found if limit is None else torch.clamp(found, -limit, limit)
