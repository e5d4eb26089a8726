"""Layers of networks, and their initial weights and biases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.functional.operations import activate, dense
from pgexp.kernels.layout import ActivationName as Activation
from pgexp.kernels.layout import Layer
from pgexp.networks.network import Parameters, Streams

Initialization = Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"]


def initial_weight(
    shape: Sequence[int], initialization: Initialization, gain: float, stream: np.random.Generator
) -> Tensor:
    """Return a weight [outputs, inputs, *kernel] in float64, scaled by the gain.

    orthogonal: Saxe et al. 2014, of the matrix [outputs, the rest]. xavier: Glorot & Bengio 2010, uniform. kaiming: He
    et al. 2015, uniform, for a gain of 1; set the gain for the activation, sqrt 2 for ReLU. pytorch: uniform within
    1/sqrt(inputs per output), as in torch.nn.Linear and torch.nn.Conv2d. constant: every weight is the gain. zeros:
    every weight is 0, so that the initial policy is uniform.
    """
    inputs = math.prod(shape[1:])
    match initialization:
        case "orthogonal":
            weight = _orthogonal(stream.standard_normal((shape[0], inputs))).reshape(shape)
        case "xavier":
            outputs = shape[0] * math.prod(shape[2:])
            weight = _uniform(shape, math.sqrt(6 / (inputs + outputs)), stream)
        case "kaiming":
            weight = _uniform(shape, math.sqrt(3 / inputs), stream)
        case "pytorch":
            weight = _uniform(shape, inputs**-0.5, stream)
        case "constant":
            weight = np.ones(shape)
        case "zeros":
            weight = np.zeros(shape)
    return gain * torch.from_numpy(weight)


def initial_bias(
    outputs: int, inputs: int, initialization: Initialization, gain: float, stream: np.random.Generator
) -> Tensor:
    """Return a bias [outputs] in float64: zero, except for pytorch: uniform within its weights' bound.

    inputs: the number of inputs per output.
    """
    if initialization == "pytorch":
        return torch.from_numpy(_uniform((outputs,), gain * inputs**-0.5, stream))
    return torch.zeros(outputs, dtype=torch.float64)


def _uniform(shape: Sequence[int], bound: float, stream: np.random.Generator) -> np.ndarray:
    return stream.uniform(-bound, bound, tuple(shape))


def _orthogonal(normal: np.ndarray) -> np.ndarray:
    """Return a matrix with orthonormal rows or columns, uniform over all such matrices.

    The signs of R's diagonal make the decomposition unique (Mezzadri 2007).
    """
    tall = normal if normal.shape[0] >= normal.shape[1] else normal.T
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return np.ascontiguousarray(q if normal.shape[0] >= normal.shape[1] else q.T)


@dataclass(frozen=True)
class Dense:
    """An affine layer ``x W + b`` with W: [inputs, outputs], b: [outputs], and an activation.

    With `blocks` above 1 its outputs are those of several adjacent layers (the gates of a cell). Their weights are
    drawn block by block.
    """

    name: str
    inputs: int
    outputs: int
    initialization: Initialization
    gain: float = 1.0
    bias: bool = True
    blocks: int = 1
    activation: Activation = "none"

    def initial(self, streams: Streams) -> Parameters:
        """Return the weight, [inputs, outputs], and the bias, [outputs]."""
        stream = streams(f"{self.name}.weight")
        shape = (self.outputs // self.blocks, self.inputs)
        drawn = [initial_weight(shape, self.initialization, self.gain, stream) for _ in range(self.blocks)]
        weight = torch.cat(drawn).T.contiguous()
        if not self.bias:
            return {f"{self.name}.weight": weight}
        stream = streams(f"{self.name}.bias")
        bias = initial_bias(self.outputs, self.inputs, self.initialization, self.gain, stream)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the layer's outputs. x: [B, inputs]; the result: [B, outputs]."""
        bias = parameters[f"{self.name}.bias"] if self.bias else None
        return dense(x, parameters[f"{self.name}.weight"], bias, self.activation)

    def layer(self) -> Layer:
        """Return the layer for compiled kernels."""
        bias = f"{self.name}.bias" if self.bias else None
        return Layer("dense", self.inputs, self.outputs, f"{self.name}.weight", bias, self.activation)


@dataclass(frozen=True)
class LayerNorm:
    """``(x - mean) / sqrt(variance + 1e-5) * scale + shift`` over the units of a row, and an activation.

    Ba, Kiros & Hinton 2016. The variance is the biased one; scale and shift, [size], are trained.
    """

    name: str
    size: int
    activation: Activation = "none"

    def initial(self) -> Parameters:
        """Return scale and shift, [size]: ones and zeros."""
        scale = torch.ones(self.size, dtype=torch.float64)
        return {f"{self.name}.scale": scale, f"{self.name}.shift": torch.zeros_like(scale)}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the normalised rows after the activation. x: [B, size]; the result: the same."""
        scale, shift = (parameters[f"{self.name}.{part}"] for part in ("scale", "shift"))
        return activate(torch.nn.functional.layer_norm(x, (self.size,)) * scale + shift, self.activation)

    def layer(self) -> Layer:
        """Return the layer for compiled kernels."""
        names = f"{self.name}.scale", f"{self.name}.shift"
        return Layer("layer_norm", self.size, self.size, *names, self.activation)


class HiddenLayers:
    """Dense layers, each with an activation, and optionally with a layer normalisation before the activation.

    Their names are numbers, counted from `first`.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        activation: Activation,
        initialization: Initialization,
        gain: float,
        layer_norm: bool = False,
        first: int = 0,
    ) -> None:
        self.outputs = [inputs, *widths][-1]
        self._layers: list[tuple[Dense, LayerNorm | None]] = []
        for i, (size_in, size_out) in enumerate(pairwise([inputs, *widths]), first):
            after = "none" if layer_norm else activation
            affine = Dense(str(i), size_in, size_out, initialization, gain, activation=after)
            self._layers.append((affine, LayerNorm(str(i), size_out, activation) if layer_norm else None))

    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters, layer by layer."""
        drawn: Parameters = {}
        for affine, norm in self._layers:
            drawn |= affine.initial(streams)
            if norm is not None:
                drawn |= norm.initial()
        return drawn

    def __call__(self, parameters: Parameters, x: Tensor) -> list[Tensor]:
        """Return each layer's units after the activation. x: [B, inputs]; the result: [B, width] each."""
        found = []
        for affine, norm in self._layers:
            x = affine(parameters, x)
            if norm is not None:
                x = norm(parameters, x)
            found.append(x)
        return found

    def layers(self) -> list[Layer]:
        """Return the layers for compiled kernels."""
        return [part.layer() for pair in self._layers for part in pair if part is not None]


@dataclass(frozen=True)
class Convolution:
    """A convolution without padding, with W: [filters, channels, kernel, kernel], b: [filters]."""

    name: str
    channels: int
    filters: int
    kernel: int
    stride: int
    initialization: Initialization
    gain: float

    def initial(self, streams: Streams) -> Parameters:
        """Return the weight, [filters, channels, kernel, kernel], and the bias, [filters]."""
        shape = (self.filters, self.channels, self.kernel, self.kernel)
        weight = initial_weight(shape, self.initialization, self.gain, streams(f"{self.name}.weight"))
        inputs, stream = weight[0].numel(), streams(f"{self.name}.bias")
        bias = initial_bias(self.filters, inputs, self.initialization, self.gain, stream)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}

    def size(self, pixels: int) -> int:
        """Return the number of positions of the kernel along an axis of this many pixels."""
        return (pixels - self.kernel) // self.stride + 1

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the feature maps. x: [B, channels, h, w]; the result: [B, filters, size(h), size(w)]."""
        weight, bias = parameters[f"{self.name}.weight"], parameters[f"{self.name}.bias"]
        return torch.nn.functional.conv2d(x, weight, bias, stride=self.stride)
