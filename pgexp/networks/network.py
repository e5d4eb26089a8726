"""What a network is to pgexp."""

from abc import ABC, abstractmethod

from torch import Tensor

from pgexp.networks.parameters import Parameters, Streams


class Network(ABC):
    """A function of parameters and inputs that holds no tensor of its own.

    A constructor takes `inputs` and `outputs`, handed in by assembly, and beside them what is configured.
    """

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters in float64, drawn from their streams."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs. parameters: [R, ...], x: [R, B, inputs]; the result: [R, B, outputs]."""
