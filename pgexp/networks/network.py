"""What a network is to pgexp: one without memory, or one with."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from pgexp.networks.parameters import Parameters, Streams


class Network(ABC):
    """A function of parameters and inputs that holds no tensor of its own.

    A constructor takes `inputs` and `outputs`, handed in by assembly, and beside them what is configured. It may take
    `shape`, too: the observation's own, of which `inputs` is the product.
    """

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters in float64, drawn from their streams."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs. parameters: [R, ...], x: [R, B, inputs]; the result: [R, B, outputs]."""


class Inspectable(Network):
    """A network that tells its hidden units, for diagnostics."""

    @abstractmethod
    def hidden(self, parameters: Parameters, x: Tensor) -> Sequence[Tensor]:
        """Return each hidden layer's units after the activation, [R, B, units], as the outputs are computed from them.

        parameters: [R, ...], x: [R, B, inputs].
        """


class RecurrentNetwork(ABC):
    """A network with a memory of Z numbers, told in three parts, so that only the middle one runs step by step.

    A step is ``memory = advance(encode(x), memory)`` and ``outputs = decode(memory)``; an episode begins with zeros.
    A constructor takes `inputs` and `outputs`, and may take `shape`, as a Network's does.
    """

    @property
    @abstractmethod
    def memory_size(self) -> int:
        """Z."""

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters in float64, drawn from their streams."""

    @abstractmethod
    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return what needs no memory. parameters: [R, ...], x: [R, B, inputs]; the result: [R, B, K]."""

    @abstractmethod
    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return the next memory. encoded: [R, B, K], memory: [R, B, Z]; the result: [R, B, Z]."""

    @abstractmethod
    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [R, B, Z]; the result: [R, B, outputs]."""
