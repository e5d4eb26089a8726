"""Interface of policy heads."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.networks.parameters import Parameters, Streams


class CompiledHead(NamedTuple):
    """A head's sampling for compiled acting."""

    sample: Any  # a kernel with the signature kernels.signatures.sample
    constants: Sequence[float] = ()  # numbers that it reads
    parameter: str | None = None  # the name of the head's own parameter that it reads


class Head(ABC):
    """A map from a network's outputs to a distribution over actions. It owns no tensor.

    A constructor takes `space`, an ActionSpace passed by assembly, and what is configured. It raises ValueError if it
    cannot act in that space.
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
        """Return the head's own parameters in float64, each name beginning with ``head.``; often none."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the distributions' parameters. x: [B, inputs]; the result: [B, P]."""

    @abstractmethod
    def act(self, sample: Tensor) -> Tensor:
        """Return the environment's action for each sample, [B] or [B, D]: counted from 0, or in the box's units.

        The sample itself is stored and scored; this map is not part of the policy.
        """

    def compiled(self) -> CompiledHead | None:
        """Return the head's sampling as a kernel, or None if it acts in torch."""
        return None
