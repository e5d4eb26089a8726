"""Diagonal Gaussian distribution: a vector of independent normal components."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.operations import exp

LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Gaussian(Distribution):
    """The distribution over vectors of `size` real components, with parameters [mean, log sigma], D of each."""

    size: int

    @property
    def parameters(self) -> int:
        """Mean and logarithm of the deviation, one of each per component."""
        return 2 * self.size

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self.size

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return ``mean + sigma z``, z the standard normal quantile of the uniform number."""
        mean, log_std = parameters.chunk(2, -1)
        z = torch.from_numpy(ndtri(np.minimum(uniforms.numpy() + 2.0**-54, 1 - 2.0**-53)))
        return mean + exp(log_std) * z.to(mean.dtype)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the mean."""
        return parameters[..., : self.size]

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``- sum_d ((a_d - mean_d)^2 / (2 sigma_d^2) + log sigma_d + log(2 pi) / 2)``."""
        mean, log_std = parameters.chunk(2, -1)
        z = (action - mean) * exp(-log_std)
        return -(0.5 * z.square() + log_std + 0.5 * LOG_2_PI).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``sum_d (log sigma_d + (1 + log(2 pi)) / 2)``."""
        return (parameters[..., self.size :] + 0.5 * (1 + LOG_2_PI)).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_d (r_d^2 - 1 - log r_d^2 + m_d^2) / 2``.

        ``r = sigma / sigma'`` and ``m = (mean - mean') / sigma'``, where the new ones are primed. Computed by expm1,
        because r^2 - 1 cancels if the two are close, as they are after one step.
        """
        (mean, log_std), (new_mean, new_log_std) = old.chunk(2, -1), new.chunk(2, -1)
        log_square = 2 * (log_std - new_log_std)
        distance = (mean - new_mean) * exp(-new_log_std)
        return 0.5 * (torch.expm1(log_square) - log_square + distance.square()).sum(-1)
