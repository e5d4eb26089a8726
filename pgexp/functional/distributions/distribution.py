"""What a distribution of actions is: log-probability, entropy, divergence, and a sample from noise."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Distribution(ABC):
    """A family of distributions over actions, parameterised by the last axis of its parameters, [..., P].

    An action is a number, [...], or a vector of D components, [..., D]. Sampling is a function of noise that is handed
    in, so that a draw depends on its stream alone. `sample` and `mode` are computed row by row, with operations whose
    rows do not depend on how many there are: packs act through them. The rest is computed a run by itself.
    """

    @property
    @abstractmethod
    def parameters(self) -> int:
        """P, the number of parameters of one distribution."""

    @property
    @abstractmethod
    def noise_size(self) -> int:
        """The number of random numbers that one draw takes."""

    @abstractmethod
    def noise(self, generator: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return the noise of `count` draws, [count, noise_size]."""

    @abstractmethod
    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return an action a row. parameters: [..., P], noise: [..., noise_size]; the result: [...] or [..., D]."""

    @abstractmethod
    def mode(self, parameters: Tensor) -> Tensor:
        """Return the most probable action of each row. parameters: [..., P]; the result: [...] or [..., D]."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return log pi(a), summed over an action's components. parameters: [..., P]; the result: [...], in nats."""

    @abstractmethod
    def entropy(self, parameters: Tensor) -> Tensor:
        """Return each row's entropy. parameters: [..., P]; the result: [...], in nats."""

    @abstractmethod
    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return KL(old || new) of each row, exactly. old, new: [..., P]; the result: [...], in nats.

        It can be differentiated twice with respect to `new`: its second derivative at old = new is the Fisher matrix.
        """
