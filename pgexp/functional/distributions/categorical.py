"""The categorical distribution: one of a number of actions."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution


@dataclass(frozen=True)
class Categorical(Distribution):
    """The distribution over `count` actions whose probabilities are the softmax of its parameters."""

    count: int

    @property
    def parameters(self) -> int:
        """The logits, one an action."""
        return self.count

    @property
    def noise_size(self) -> int:
        """One uniform number."""
        return 1

    def noise(self, generator: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return uniform draws from [0, 1), [count, 1]."""
        return generator.random((count, 1), dtype=np.float32)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return the action at which the cumulative probability passes the noise (inverse transform).

        Rounded probabilities need not add up to 1, so the noise is taken as a share of their sum: an action of no
        probability is never sampled.
        """
        cumulative = torch.softmax(parameters, -1).cumsum(-1)
        return (noise * cumulative[..., -1:] >= cumulative[..., :-1]).sum(-1)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the action of the largest logit, the first of equals."""
        return parameters.argmax(-1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``logit_a - logsumexp(logits)``."""
        return torch.log_softmax(parameters, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``- sum_a p_a log p_a``."""
        log_p = torch.log_softmax(parameters, -1)
        return -(log_p.exp() * log_p).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_a p_a (log p_a - log q_a)``."""
        log_p, log_q = torch.log_softmax(old, -1), torch.log_softmax(new, -1)
        return (log_p.exp() * (log_p - log_q)).sum(-1)
