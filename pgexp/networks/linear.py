"""Linear network: one affine layer."""

from typing import Literal

from torch import Tensor

from pgexp.kernels.layout import Layer
from pgexp.networks.layers import Dense
from pgexp.networks.network import Network
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat


class Linear(Network):
    """One affine layer, ``x W + b``; with ``bias=False`` and one-hot observations, a table."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool,
        initialization: Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"],
        gain: NonNegativeFloat,
    ) -> None:
        self._layer = Dense("0", inputs, outputs, initialization, gain, bias)

    def initial(self, streams: Streams) -> Parameters:
        """Return the weight and the bias."""
        return self._layer.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return ``x W + b``. x: [B, inputs]; the result: [B, outputs]."""
        return self._layer(parameters, x)

    def layers(self) -> list[Layer]:
        """Return the one layer."""
        return [self._layer.layer()]
