"""How a layer's weights and biases are drawn."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Initialization = Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"]


def initial_weight(
    shape: Sequence[int], initialization: Initialization, gain: float, stream: torch.Generator
) -> Tensor:
    """Return a weight [outputs, inputs, *kernel] in float64, scaled by the gain.

    orthogonal: Saxe et al. 2014, of the matrix [outputs, the rest]. xavier: Glorot & Bengio 2010, uniform. kaiming: He
    et al. 2015, uniform; what an activation asks for is left to the gain, sqrt 2 for ReLU. pytorch: uniform within
    1/sqrt(inputs an output reads), what torch.nn.Linear and torch.nn.Conv2d draw, with a gain of 1. constant: every
    weight is the gain. zeros: a policy that starts uniform.
    """
    weight = torch.zeros(*shape, dtype=torch.float64)
    match initialization:
        case "orthogonal":
            torch.nn.init.orthogonal_(weight, generator=stream)
        case "xavier":
            torch.nn.init.xavier_uniform_(weight, generator=stream)
        case "kaiming":
            torch.nn.init.kaiming_uniform_(weight, nonlinearity="linear", generator=stream)
        case "pytorch":
            bound = math.prod(shape[1:]) ** -0.5
            weight.uniform_(-bound, bound, generator=stream)
        case "constant":
            weight.fill_(1.0)
    return gain * weight


def initial_bias(
    outputs: int, inputs: int, initialization: Initialization, gain: float, stream: torch.Generator
) -> Tensor:
    """Return a bias [outputs] in float64: zero, but for pytorch uniform within the bound of its weights.

    inputs: how many numbers an output reads.
    """
    bias = torch.zeros(outputs, dtype=torch.float64)
    if initialization == "pytorch":
        bound = gain * inputs**-0.5
        bias.uniform_(-bound, bound, generator=stream)
    return bias
