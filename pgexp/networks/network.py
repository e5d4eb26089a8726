"""Interfaces of networks, and parameters of policies."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from pgexp.kernels.layout import Layer
from pgexp.schema.streams import Name, generator

Parameters = dict[str, Tensor]
"""Tensors by name."""

Streams = Callable[[str], np.random.Generator]
"""Returns the random stream of a parameter's name, so that each parameter is drawn independently."""

_ALIGNMENT: Final = 16  # numbers: each tensor begins at a multiple of 64 bytes


def streams(seed: int, *names: Name) -> Streams:
    """Return the streams (seed, *names, parameter's name)."""
    return partial(generator, seed, *names)


def cast(parameters: Mapping[str, Tensor], dtype: torch.dtype) -> Parameters:
    """Return the parameters in another precision."""
    return {name: tensor.to(dtype) for name, tensor in parameters.items()}


@dataclass(frozen=True)
class ParameterVector:
    """A policy's parameters in one vector: torch changes them through views, and compiled kernels read the vector."""

    vector: Tensor  # [P]; zero between the tensors
    offsets: Mapping[str, int]  # index of each tensor's first element
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


class Network(ABC):
    """A function of parameters and inputs that owns no tensor.

    A constructor takes `inputs` and `outputs`, which pgexp passes, and the configured arguments. It may also take
    `shape`, the observation's shape, whose product is `inputs`.
    """

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters in float64, drawn from their streams."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs. x: [B, inputs]; the result: [B, outputs]."""

    def layers(self) -> Sequence[Layer] | None:
        """Return the network as a list of compiled layers, or None if it acts in torch."""
        return None


class Inspectable(Network):
    """A network that exposes its hidden units, for diagnostics."""

    @abstractmethod
    def hidden(self, parameters: Parameters, x: Tensor) -> Sequence[Tensor]:
        """Return each hidden layer's units after the activation, [B, units]. x: [B, inputs]."""


class RecurrentNetwork(ABC):
    """A network with a memory of Z numbers, in three parts; only `advance` runs step by step.

    A step is ``memory = advance(encode(x), memory)`` and ``outputs = decode(memory)``; an episode begins with zeros.
    The constructor takes a Network's arguments.
    """

    @property
    @abstractmethod
    def memory_size(self) -> int:
        """Z, the size of the memory."""

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters in float64, drawn from their streams."""

    @abstractmethod
    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the part that does not depend on the memory. x: [B, inputs]; the result: [B, K]."""

    @abstractmethod
    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return the next memory. encoded: [B, K], memory: [B, Z]; the result: [B, Z]."""

    @abstractmethod
    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [B, Z]; the result: [B, outputs]."""

    def layers(self) -> Sequence[Layer] | None:
        """Return the network as a list of compiled layers, or None if it acts in torch."""
        return None
