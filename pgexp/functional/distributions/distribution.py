"""Interface of distributions over actions: log-probability, entropy, divergence, and sampling."""

from abc import ABC, abstractmethod

from torch import Tensor


class Distribution(ABC):
    """A family of distributions over actions, parameterised by the last axis of its parameters, [..., P].

    An action is a number, [...], or a vector of D components, [..., D]. A sample is a function of uniform random
    numbers that are passed in, so that a draw depends on its stream alone. Compiled policies sample in
    kernels/sampling.py.
    """

    @property
    @abstractmethod
    def parameters(self) -> int:
        """P, the number of parameters of one distribution."""

    @property
    @abstractmethod
    def draws(self) -> int:
        """The number of uniform random numbers per sample."""

    @abstractmethod
    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return an action per row, by inverse transform.

        parameters: [..., P]; uniforms: [..., draws] in float64, from [0, 1); the result: [...] or [..., D].
        """

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
