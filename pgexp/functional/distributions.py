"""Distributions of actions over a network's outputs: log-probability, entropy, divergence, and a sample from noise.

Sampling is a function of noise that is handed in, so that a draw depends on its stream alone. All is computed row by
row along the last axis, with operations whose rows do not depend on how many there are.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Distribution(ABC):
    """A family of distributions over actions, parameterised by the last axis of a network's outputs."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The number of outputs that parameterise one distribution."""

    @property
    @abstractmethod
    def noise_size(self) -> int:
        """D, the number of random numbers that one draw takes."""

    @abstractmethod
    def noise(self, generator: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return the noise of `count` draws, [count, D]."""

    @abstractmethod
    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return an action for each row. outputs: [..., P], noise: [..., D]; the result: [...]."""

    @abstractmethod
    def mode(self, outputs: Tensor) -> Tensor:
        """Return the most probable action of each row. outputs: [..., P]; the result: [...]."""

    @abstractmethod
    def log_prob(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Return log pi(a). outputs: [..., P], action: [...]; the result: [...], in nats."""

    @abstractmethod
    def entropy(self, outputs: Tensor) -> Tensor:
        """Return each row's entropy. outputs: [..., P]; the result: [...], in nats."""

    @abstractmethod
    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return KL(old || new) of each row, exactly. old, new: [..., P]; the result: [...], in nats."""


@dataclass(frozen=True)
class Categorical(Distribution):
    """The distribution over `count` actions whose probabilities are the softmax of the outputs."""

    count: int

    @property
    def outputs(self) -> int:
        """The logits, one an action."""
        return self.count

    @property
    def noise_size(self) -> int:
        """One uniform number."""
        return 1

    def noise(self, generator: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return uniform draws from [0, 1), [count, 1]."""
        return generator.random((count, 1), dtype=np.float32)

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return the action at which the cumulative probability passes the noise (inverse transform).

        Rounded probabilities need not add up to 1, so the noise is taken as a share of their sum: an action of no
        probability is never sampled.
        """
        cumulative = torch.softmax(outputs, -1).cumsum(-1)
        return (noise * cumulative[..., -1:] >= cumulative[..., :-1]).sum(-1)

    def mode(self, outputs: Tensor) -> Tensor:
        """Return the action of the largest logit, the first of equals."""
        return outputs.argmax(-1)

    def log_prob(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Return ``logit_a - logsumexp(logits)``."""
        return torch.log_softmax(outputs, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return ``- sum_a p_a log p_a``."""
        log_p = torch.log_softmax(outputs, -1)
        return -(log_p.exp() * log_p).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_a p_a (log p_a - log q_a)``."""
        log_p, log_q = torch.log_softmax(old, -1), torch.log_softmax(new, -1)
        return (log_p.exp() * (log_p - log_q)).sum(-1)
