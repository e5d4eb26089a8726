"""Convolutional network."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor

from pgexp.functional.operations import activate
from pgexp.networks.layers import Convolution, Dense, HiddenLayers
from pgexp.networks.network import Inspectable
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class CNN(Inspectable):
    """Convolutions without padding, then affine layers, with an activation between all of them (LeCun et al. 1998).

    Pictures arrive flattened; `shape` is a picture's own, [C, H, W], or with the channels last [H, W, C].
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
                f"with the channels {channels} a picture of shape {tuple(shape)} has {depth} channels of "
                f"{sides[0]} x {sides[1]}; say which axis they are (channels: first or last)"
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
        x = self._pictures(x)
        for layer in self._convolutions:
            x = activate(layer(parameters, x), self._activation)
            maps.append(x.flatten(1))
        return maps + self._hidden(parameters, maps[-1])

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the last layer's outputs. x: [B, inputs]; the result: [B, outputs]."""
        return self._output(parameters, self.hidden(parameters, x)[-1])

    def _pictures(self, x: Tensor) -> Tensor:
        """Return the pictures, [B, C, H, W]. x: [B, inputs]."""
        pictures = x.reshape(len(x), *self._shape)
        if not self._channels_first:
            pictures = pictures.permute(0, 3, 1, 2).contiguous()
        return pictures


def _check(shape: Sequence[int], filters: Sequence[int], kernels: Sequence[int], strides: Sequence[int]) -> None:
    if len(shape) != 3:
        raise ValueError(
            f"an observation of shape {tuple(shape)} is not a picture of three axes (channels, height, "
            "width); choose a network for vectors, such as network=mlp, or stack the frames"
        )
    counts = {len(filters), len(kernels), len(strides)}
    if len(counts) > 1 or counts == {0}:
        raise ValueError("filters, kernels and strides must list one number each for every convolution, at least one")


def _map_size(sides: Sequence[int], convolutions: Sequence[Convolution]) -> Sequence[int]:
    """Return the height and width of the last feature map of a picture with these sides."""
    for i, layer in enumerate(convolutions, 1):
        if min(sides) < layer.kernel:
            raise ValueError(
                f"convolution {i} has a kernel of {layer.kernel}, but sees a picture of {sides[0]} x {sides[1]}; "
                "choose smaller kernels or strides, or correct which axis the channels are (channels: first or last)"
            )
        sides = [layer.size(side) for side in sides]
    return sides
