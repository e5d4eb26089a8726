"""The multi-layer perceptron."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor

from pgexp.networks.layers import ACTIVATIONS, Dense
from pgexp.networks.network import Network
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class MLP(Network):
    """Affine layers with an activation between them."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: Sequence[PositiveInt],
        activation: Literal["relu", "tanh", "leaky_relu"],
        initialization: Literal["orthogonal", "xavier", "kaiming", "pytorch", "zeros"],
        hidden_gain: PositiveFloat,
        output_gain: NonNegativeFloat,
    ) -> None:
        sizes = [inputs, *widths, outputs]
        gains = [*[hidden_gain] * len(widths), output_gain]
        self._activation = ACTIVATIONS[activation]
        self._layers = [
            Dense(str(i), size_in, size_out, initialization, gain)
            for i, ((size_in, size_out), gain) in enumerate(zip(pairwise(sizes), gains, strict=True))
        ]

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's weights and biases, layer by layer."""
        return {name: tensor for layer in self._layers for name, tensor in layer.initial(streams).items()}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the last layer's outputs. x: [R, B, inputs]; the result: [R, B, outputs]."""
        *hidden, last = self._layers
        for layer in hidden:
            x = self._activation(layer(parameters, x))
        return last(parameters, x)
