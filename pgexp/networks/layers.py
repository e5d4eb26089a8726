"""Layers that networks are composed of."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from pgexp.functional.products import stacked_product
from pgexp.networks.initialization import Initialization, initial_bias, initial_weight
from pgexp.networks.parameters import Parameters, Streams

Activation = Literal["relu", "tanh", "leaky_relu"]

# Each is computed alike in every row, however many there are; sigmoid, softplus, SiLU and GELU are not in float32.
# They write over their input: a layer's output is nobody else's, and its gradient does not need it.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "leaky_relu": partial(torch.nn.functional.leaky_relu, inplace=True),
}


def sigmoid(x: Tensor) -> Tensor:
    """Return ``1 / (1 + exp(-x))``, by way of tanh, whose rows do not depend on how many there are."""
    return 0.5 + 0.5 * torch.tanh(0.5 * x)


@dataclass(frozen=True)
class Dense:
    """An affine layer ``x W + b`` with W: [R, inputs, outputs], b: [R, outputs].

    Its outputs may be those of several layers that stand side by side (the gates of a cell): the weights are then
    drawn layer by layer.
    """

    name: str
    inputs: int
    outputs: int
    initialization: Initialization
    gain: float = 1.0
    bias: bool = True
    side_by_side: int = 1

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's weight, [inputs, outputs], and bias, [outputs]."""
        stream = streams(f"{self.name}.weight")
        shape = (self.outputs // self.side_by_side, self.inputs)
        drawn = [initial_weight(shape, self.initialization, self.gain, stream) for _ in range(self.side_by_side)]
        weight = torch.cat(drawn).T.contiguous()
        if not self.bias:
            return {f"{self.name}.weight": weight}
        stream = streams(f"{self.name}.bias")
        bias = initial_bias(self.outputs, self.inputs, self.initialization, self.gain, stream)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the layer's outputs. x: [R, B, inputs]; the result: [R, B, outputs]."""
        bias = parameters[f"{self.name}.bias"] if self.bias else None
        return stacked_product(x, parameters[f"{self.name}.weight"], bias)


@dataclass(frozen=True)
class LayerNorm:
    """``(x - mean) / sqrt(variance + 1e-5) * scale + shift`` over the units of a row (Ba, Kiros & Hinton 2016).

    The variance is the biased one; scale and shift, [R, size], are learnt.
    """

    name: str
    size: int

    def initial(self) -> Parameters:
        """Return one run's scale and shift, [size]: one and zero."""
        scale = torch.ones(self.size, dtype=torch.float64)
        return {f"{self.name}.scale": scale, f"{self.name}.shift": torch.zeros_like(scale)}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the normalised rows. x: [R, B, size]; the result: the same."""
        scale, shift = (parameters[f"{self.name}.{part}"].unsqueeze(1) for part in ("scale", "shift"))
        return torch.nn.functional.layer_norm(x, (self.size,)) * scale + shift


@dataclass(frozen=True)
class Convolution:
    """A convolution without padding, with W: [R, filters, channels, kernel, kernel], b: [R, filters]."""

    name: str
    channels: int
    filters: int
    kernel: int
    stride: int
    initialization: Initialization
    gain: float

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's weight, [filters, channels, kernel, kernel], and bias, [filters]."""
        shape = (self.filters, self.channels, self.kernel, self.kernel)
        weight = initial_weight(shape, self.initialization, self.gain, streams(f"{self.name}.weight"))
        inputs, stream = weight[0].numel(), streams(f"{self.name}.bias")
        bias = initial_bias(self.filters, inputs, self.initialization, self.gain, stream)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}

    def size(self, pixels: int) -> int:
        """Return how many positions the kernel has along an axis of so many pixels."""
        return (pixels - self.kernel) // self.stride + 1

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the feature maps. x: [R, B, channels, h, w]; the result: [R, B, filters, size(h), size(w)].

        Run by run: it is heavy enough for a loop to cost nothing, and no run's bits depend on the others.
        """
        runs = zip(x, parameters[f"{self.name}.weight"], parameters[f"{self.name}.bias"], strict=True)
        return torch.stack([torch.nn.functional.conv2d(*run, stride=self.stride) for run in runs])
