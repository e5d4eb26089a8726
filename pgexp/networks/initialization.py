"""Initial weights and biases of layers."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Initialization = Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"]


def initial_weight(
    shape: Sequence[int], initialization: Initialization, gain: float, stream: np.random.Generator
) -> Tensor:
    """Return a weight [outputs, inputs, *kernel] in float64, scaled by the gain.

    orthogonal: Saxe et al. 2014, of the matrix [outputs, the rest]. xavier: Glorot & Bengio 2010, uniform. kaiming: He
    et al. 2015, uniform, for a gain of 1; set the gain for the activation, sqrt 2 for ReLU. pytorch: uniform within
    1/sqrt(inputs per output), as in torch.nn.Linear and torch.nn.Conv2d. constant: every weight is the gain. zeros: a
    policy that starts uniform.
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
    """Return a bias [outputs] in float64: zero, except for pytorch, where it is uniform within its weights' bound.

    inputs: how many numbers an output reads.
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
