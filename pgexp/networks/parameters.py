"""Parameters of a policy: tensors by name, which are views of one flat vector."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from pgexp.schema.streams import Name, generator

Parameters = dict[str, Tensor]
"""Tensors by name."""

Streams = Callable[[str], np.random.Generator]
"""Gives the random stream of a parameter's name, so that each is drawn independently of the others."""

_ALIGNMENT: Final = 16  # numbers: each tensor begins at a multiple of 64 bytes


def streams(seed: int, *names: Name) -> Streams:
    """Return the streams (seed, *names, parameter's name)."""
    return partial(generator, seed, *names)


def cast(parameters: Mapping[str, Tensor], dtype: torch.dtype) -> Parameters:
    """Return the parameters in another precision."""
    return {name: tensor.to(dtype) for name, tensor in parameters.items()}


@dataclass(frozen=True)
class ParameterVector:
    """A policy's parameters in one vector: torch learns through the views, and compiled kernels read the vector."""

    vector: Tensor  # [P]; zero between the tensors
    offsets: Mapping[str, int]  # where each tensor begins
    views: Parameters

    @classmethod
    def of(cls, parameters: Mapping[str, Tensor]) -> "ParameterVector":
        """Return a vector with a copy of the parameters, all of one dtype."""
        offsets, size = {}, 0
        for name, tensor in parameters.items():
            offsets[name] = size
            size += math.ceil(tensor.numel() / _ALIGNMENT) * _ALIGNMENT
        vector = torch.zeros(size, dtype=next(iter(parameters.values())).dtype)
        views = {}
        for name, tensor in parameters.items():
            begin = offsets[name]
            views[name] = vector[begin : begin + tensor.numel()].view(tensor.shape).detach()
            views[name].copy_(tensor.detach())
        return cls(vector, offsets, views)
