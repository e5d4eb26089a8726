"""Counts, means and variances that batches are merged into."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pgexp.functional.arrays import Floats


@dataclass(frozen=True)
class Moments:
    """The count of what was seen, its mean and its variance (of the population), component by component, in float64."""

    count: int
    mean: Floats  # [O]
    variance: Floats  # [O]

    @classmethod
    def none(cls, size: int) -> Self:
        """Return the moments of nothing: mean 0 and variance 1, so that what they normalise stays as it is."""
        return cls(0, np.zeros(size), np.ones(size))

    def merged(self, x: NDArray[np.generic]) -> "Moments":
        """Return the moments of what was seen and of x, [S, O], together (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        assert x.ndim == 2, x.shape
        seen, mean, variance = len(x), x.mean(0, dtype=np.float64), x.var(0, dtype=np.float64)
        if not self.count:
            return Moments(seen, mean, variance)
        total = self.count + seen
        difference = mean - self.mean
        squares = self.count * self.variance + seen * variance + difference**2 * (self.count * seen / total)
        return Moments(total, self.mean + difference * (seen / total), squares / total)
