"""Layers and initialisations that networks are composed of."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from pgexp.functional.products import stacked_product
from pgexp.networks.parameters import Parameters, Streams

Activation = Literal["relu", "tanh", "leaky_relu"]
Initialization = Literal["orthogonal", "xavier", "kaiming", "pytorch", "zeros"]

# Each is computed alike in every row, however many there are; sigmoid, softplus, SiLU and GELU are not in float32.
# They write over their input: a layer's output is nobody else's, and its gradient does not need it.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "leaky_relu": partial(torch.nn.functional.leaky_relu, inplace=True),
}


@dataclass(frozen=True)
class Dense:
    """An affine layer ``x W + b`` with W: [R, inputs, outputs], b: [R, outputs]."""

    name: str
    inputs: int
    outputs: int
    initialization: Initialization
    gain: float = 1.0
    bias: bool = True

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's weight, [inputs, outputs], and bias, [outputs] (zero, but uniform for pytorch)."""
        stream = streams(f"{self.name}.weight")
        weight = initial_weight(self.inputs, self.outputs, self.initialization, self.gain, stream)
        if not self.bias:
            return {f"{self.name}.weight": weight}
        bias = torch.zeros(self.outputs, dtype=torch.float64)
        if self.initialization == "pytorch":
            bound = self.gain * self.inputs**-0.5
            bias.uniform_(-bound, bound, generator=streams(f"{self.name}.bias"))
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the layer's outputs. x: [R, B, inputs]; the result: [R, B, outputs]."""
        bias = parameters[f"{self.name}.bias"] if self.bias else None
        return stacked_product(x, parameters[f"{self.name}.weight"], bias)


def initial_weight(
    inputs: int, outputs: int, initialization: Initialization, gain: float, stream: torch.Generator
) -> Tensor:
    """Return a weight [inputs, outputs] in float64, scaled by the gain.

    orthogonal: Saxe et al. 2014. xavier: Glorot & Bengio 2010, uniform. kaiming: He et al. 2015, uniform, for ReLU.
    pytorch: uniform within 1/sqrt(inputs), what torch.nn.Linear draws. zeros: a policy that starts uniform.
    """
    weight = torch.zeros(outputs, inputs, dtype=torch.float64)  # torch.nn.init counts inputs along the last axis
    match initialization:
        case "orthogonal":
            torch.nn.init.orthogonal_(weight, generator=stream)
        case "xavier":
            torch.nn.init.xavier_uniform_(weight, generator=stream)
        case "kaiming":
            torch.nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=stream)
        case "pytorch":
            bound = inputs**-0.5
            weight.uniform_(-bound, bound, generator=stream)
    return (gain * weight).T.contiguous()
