"""Categorical distribution: one of a number of actions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.operations import exp, log_softmax


@dataclass(frozen=True)
class Categorical(Distribution):
    """The distribution over `count` actions whose probabilities are the softmax of its parameters."""

    count: int

    @property
    def parameters(self) -> int:
        """The logits, one per action."""
        return self.count

    @property
    def draws(self) -> int:
        """One uniform number."""
        return 1

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return the action at which the cumulative probability exceeds the uniform number.

        Rounded probabilities need not add up to 1, so the number is taken as a share of their sum: an action of
        probability 0 is never sampled.
        """
        cumulative = torch.softmax(parameters.double(), -1).cumsum(-1)
        return (uniforms * cumulative[..., -1:] >= cumulative[..., :-1]).sum(-1)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the action of the largest logit, the first of several equal ones."""
        return parameters.argmax(-1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``logit_a - logsumexp(logits)``."""
        return torch.log_softmax(parameters, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``- sum_a p_a log p_a``."""
        log_p = torch.log_softmax(parameters, -1)
        return -(exp(log_p) * log_p).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_a p_a (log p_a - log q_a)``."""
        log_p, log_q = log_softmax(old), log_softmax(new)
        return (exp(log_p) * (log_p - log_q)).sum(-1)
