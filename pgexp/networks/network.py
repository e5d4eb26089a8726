"""Interfaces of networks, without memory and with it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from pgexp.kernels.layout import Layer
from pgexp.networks.parameters import Parameters, Streams


class Network(ABC):
    """A function of parameters and inputs that owns no tensor.

    A constructor takes `inputs` and `outputs`, passed by assembly, and what is configured. It may also take `shape`,
    the observation's shape, whose product is `inputs`.
    """

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters in float64, drawn from their streams."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs. x: [B, inputs]; the result: [B, outputs]."""

    def layers(self) -> Sequence[Layer] | None:
        """Return the network as a list of compiled layers, or None if it acts in torch."""
        return None


class Inspectable(Network):
    """A network that shows its hidden units, for diagnostics."""

    @abstractmethod
    def hidden(self, parameters: Parameters, x: Tensor) -> Sequence[Tensor]:
        """Return each hidden layer's units after the activation, [B, units]. x: [B, inputs]."""


class RecurrentNetwork(ABC):
    """A network with a memory of Z numbers, in three parts, of which only the middle one runs step by step.

    A step is ``memory = advance(encode(x), memory)`` and ``outputs = decode(memory)``; an episode begins with zeros.
    The constructor is a Network's.
    """

    @property
    @abstractmethod
    def memory_size(self) -> int:
        """Z."""

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters in float64, drawn from their streams."""

    @abstractmethod
    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return what needs no memory. x: [B, inputs]; the result: [B, K]."""

    @abstractmethod
    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return the next memory. encoded: [B, K], memory: [B, Z]; the result: [B, Z]."""

    @abstractmethod
    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [B, Z]; the result: [B, outputs]."""

    def layers(self) -> Sequence[Layer] | None:
        """Return the network as a list of compiled layers, or None if it acts in torch."""
        return None
