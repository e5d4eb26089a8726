"""Convolutional network."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor

from pgexp.functional.operations import activate
from pgexp.networks.layers import Convolution, Dense, HiddenLayers
from pgexp.networks.network import Inspectable, Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class CNN(Inspectable):
    """Convolutions without padding, then affine layers, with an activation between all of them (LeCun et al. 1998).

    Observations are flattened images of a shape: [C, H, W], or with the channels last [H, W, C].
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        shape: Sequence[int],
        channels: Literal["first", "last"],
        filters: Sequence[PositiveInt],
        kernels: Sequence[PositiveInt],
        strides: Sequence[PositiveInt],
        widths: Sequence[PositiveInt],
        activation: Literal["relu", "tanh", "leaky_relu"],
        initialization: Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"],
        hidden_gain: PositiveFloat,
        output_gain: NonNegativeFloat,
    ) -> None:
        assert inputs == math.prod(shape), (inputs, shape)
        _check(shape, filters, kernels, strides)
        self._shape, self._channels_first = tuple(shape), channels == "first"
        self._activation = activation
        depth, *sides = shape if self._channels_first else (shape[2], *shape[:2])
        if depth > min(sides):
            raise ValueError(
                f"with channels={channels} an image of shape {tuple(shape)} has {depth} channels of "
                f"{sides[0]} x {sides[1]}: set channels to first or last"
            )
        settings = zip(pairwise([depth, *filters]), kernels, strides, strict=True)
        self._convolutions = [
            Convolution(str(i), *channel_counts, kernel, stride, initialization, hidden_gain)
            for i, (channel_counts, kernel, stride) in enumerate(settings)
        ]
        units = filters[-1] * math.prod(_map_size(sides, self._convolutions))
        self._hidden = HiddenLayers(units, widths, activation, initialization, hidden_gain, first=len(filters))
        name = str(len(filters) + len(widths))
        self._output = Dense(name, self._hidden.outputs, outputs, initialization, output_gain)

    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters, layer by layer."""
        drawn: Parameters = {}
        for layer in self._convolutions:
            drawn |= layer.initial(streams)
        return drawn | self._hidden.initial(streams) | self._output.initial(streams)

    def hidden(self, parameters: Parameters, x: Tensor) -> list[Tensor]:
        """Return feature maps, [B, filters * h * w] each, and hidden units, [B, width]. x: [B, inputs]."""
        maps = []
        x = x.reshape(len(x), *self._shape)
        if not self._channels_first:
            x = x.permute(0, 3, 1, 2).contiguous()
        for layer in self._convolutions:
            x = activate(layer(parameters, x), self._activation)
            maps.append(x.flatten(1))
        return maps + self._hidden(parameters, maps[-1])

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the last layer's outputs. x: [B, inputs]; the result: [B, outputs]."""
        return self._output(parameters, self.hidden(parameters, x)[-1])


def _check(shape: Sequence[int], filters: Sequence[int], kernels: Sequence[int], strides: Sequence[int]) -> None:
    if len(shape) != 3:
        raise ValueError(
            f"an observation must be an image of three axes: channels, height, width (got shape {tuple(shape)}). Set "
            "network=mlp for vectors, or stack the frames"
        )
    counts = {len(filters), len(kernels), len(strides)}
    if len(counts) > 1 or counts == {0}:
        raise ValueError("filters, kernels and strides must have one number per convolution, at least one each")


def _map_size(sides: Sequence[int], convolutions: Sequence[Convolution]) -> Sequence[int]:
    """Return the height and width of the last feature map of an image with these sides."""
    for i, layer in enumerate(convolutions, 1):
        if min(sides) < layer.kernel:
            raise ValueError(
                f"the kernel of convolution {i} exceeds its input of {sides[0]} x {sides[1]} (got {layer.kernel}): set "
                "smaller kernels or strides, or correct channels (first or last)"
            )
        sides = [layer.size(side) for side in sides]
    return sides
