"""Linear network and multi-layer perceptron."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from pgexp.kernels.layout import Layer
from pgexp.networks.layers import Dense, HiddenLayers
from pgexp.networks.network import Inspectable, Network, Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


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
        """Return the layer for compiled kernels."""
        return [self._layer.layer()]


class MLP(Inspectable):
    """Affine layers with an activation between them; each hidden layer may be normalised before its activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: Sequence[PositiveInt],
        activation: Literal["relu", "tanh", "leaky_relu"],
        layer_norm: bool,
        initialization: Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"],
        hidden_gain: PositiveFloat,
        output_gain: NonNegativeFloat,
    ) -> None:
        self._hidden = HiddenLayers(inputs, widths, activation, initialization, hidden_gain, layer_norm)
        self._output = Dense(str(len(widths)), self._hidden.outputs, outputs, initialization, output_gain)

    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters, layer by layer."""
        return self._hidden.initial(streams) | self._output.initial(streams)

    def hidden(self, parameters: Parameters, x: Tensor) -> list[Tensor]:
        """Return the hidden layers' units. x: [B, inputs]; the result: [B, width] each."""
        return self._hidden(parameters, x)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the last layer's outputs. x: [B, inputs]; the result: [B, outputs]."""
        return self._output(parameters, [x, *self.hidden(parameters, x)][-1])

    def layers(self) -> list[Layer]:
        """Return the layers for compiled kernels."""
        return [*self._hidden.layers(), self._output.layer()]
