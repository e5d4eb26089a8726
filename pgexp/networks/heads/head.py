"""What a head is to pgexp."""

from abc import ABC, abstractmethod

from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.networks.parameters import Parameters, Streams


class Head(ABC):
    """How a network's outputs become a distribution over actions. It holds no tensor of its own.

    A constructor takes `space`, the ActionSpace, handed in by assembly, and beside it what is configured. It raises
    ValueError with a sentence where it can't act in that space.
    """

    @property
    @abstractmethod
    def distribution(self) -> Distribution:
        """The family of distributions."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """How many outputs of the network it reads."""

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters of the head itself in float64, each name beginning with ``head.``; often none."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the distributions' parameters. parameters: [R, ...], x: [R, B, inputs]; the result: [R, B, P]."""

    @abstractmethod
    def act(self, sample: Tensor) -> Tensor:
        """Return what the environment is given for a sample, row by row: [...] or [..., D], counted from 0 or in units.

        The sample itself is what is stored and scored: whatever happens here is outside of the policy.
        """
