"""Independent Bernoulli distributions: a vector of switches, each on or off."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pgexp.functional.distributions.distribution import Distribution


@dataclass(frozen=True)
class Bernoulli(Distribution):
    """The distribution over vectors of `size` zeros and ones, whose parameters are the logits ``log(p / (1 - p))``."""

    size: int

    @property
    def parameters(self) -> int:
        """The logits, one per component."""
        return self.size

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self.size

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return 1 for each component whose uniform number is below p."""
        return (uniforms < torch.sigmoid(parameters)).long()

    def mode(self, parameters: Tensor) -> Tensor:
        """Return 1 where p is above one half."""
        return (parameters > 0).long()

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``sum_d log p_d(a_d)``, with ``p(1) = sigmoid(l)`` and ``p(0) = sigmoid(-l)``."""
        return logsigmoid(torch.where(action == 1, parameters, -parameters)).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``- sum_d (p_d log p_d + (1 - p_d) log(1 - p_d))``."""
        p, q = torch.sigmoid(parameters), torch.sigmoid(-parameters)
        return -(p * logsigmoid(parameters) + q * logsigmoid(-parameters)).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_d (p_d log(p_d / p'_d) + (1 - p_d) log((1 - p_d) / (1 - p'_d)))``, p' the new probabilities."""
        on = torch.sigmoid(old) * (logsigmoid(old) - logsigmoid(new))
        off = torch.sigmoid(-old) * (logsigmoid(-old) - logsigmoid(-new))
        return (on + off).sum(-1)
