"""The diagonal Gaussian distribution: a vector whose components are normal, each by itself."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution

LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Gaussian(Distribution):
    """The distribution over vectors of `size` real components, with parameters [mean, log sigma], D of each."""

    size: int

    @property
    def parameters(self) -> int:
        """Mean and logarithm of the deviation, one of each a component."""
        return 2 * self.size

    @property
    def noise_size(self) -> int:
        """One normal number a component."""
        return self.size

    def noise(self, generator: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return standard normal draws, [count, D]."""
        return generator.standard_normal((count, self.size), dtype=np.float32)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return ``mean + sigma noise``."""
        mean, log_std = parameters.chunk(2, -1)
        return mean + log_std.exp() * noise

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the mean."""
        return parameters[..., : self.size]

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``- sum_d ((a_d - mean_d)^2 / (2 sigma_d^2) + log sigma_d + log(2 pi) / 2)``."""
        mean, log_std = parameters.chunk(2, -1)
        z = (action - mean) * (-log_std).exp()
        return -(0.5 * z.square() + log_std + 0.5 * LOG_2_PI).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``sum_d (log sigma_d + (1 + log(2 pi)) / 2)``."""
        return (parameters[..., self.size :] + 0.5 * (1 + LOG_2_PI)).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_d (r_d^2 - 1 - log r_d^2 + m_d^2) / 2``.

        ``r = sigma / sigma'`` and ``m = (mean - mean') / sigma'``, where the new ones are primed. Computed by expm1,
        since r^2 - 1 cancels where the two are close, as after one step they are.
        """
        (mean, log_std), (new_mean, new_log_std) = old.chunk(2, -1), new.chunk(2, -1)
        log_square = 2 * (log_std - new_log_std)
        distance = (mean - new_mean) * (-new_log_std).exp()
        return 0.5 * (torch.expm1(log_square) - log_square + distance.square()).sum(-1)
