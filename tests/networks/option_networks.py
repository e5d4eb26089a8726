"""Small networks, parameters and inputs for tests."""

from typing import Any

import torch
from torch import Tensor

from pgexp.networks.cnn import CNN
from pgexp.networks.feedforward import MLP, Linear
from pgexp.networks.network import Network, Parameters, RecurrentNetwork, cast, streams
from pgexp.networks.recurrent import GRU, LSTM

SHARED = {"activation": "tanh", "initialization": "pytorch", "hidden_gain": 1.0, "output_gain": 1.0}
PICTURE = {"filters": [3, 4], "kernels": [3, 2], "strides": [2, 1], "widths": [5], "channels": "first"}


def linear(inputs: int = 4, outputs: int = 2, **changed: Any) -> Linear:
    return Linear(inputs, outputs, **{"bias": True, "initialization": "pytorch", "gain": 1.0, **changed})


def mlp(inputs: int = 4, outputs: int = 2, **changed: Any) -> MLP:
    return MLP(inputs, outputs, **{**SHARED, "widths": [8, 6], "layer_norm": False, **changed})


def cnn(shape: tuple[int, ...] = (2, 7, 9), outputs: int = 2, **changed: Any) -> CNN:
    return CNN(int(torch.Size(shape).numel()), outputs, shape, **{**SHARED, **PICTURE, **changed})


def gru(inputs: int = 4, outputs: int = 2, **changed: Any) -> GRU:
    return GRU(inputs, outputs, **{**SHARED, "widths": [], "units": 3, **changed})


def lstm(inputs: int = 4, outputs: int = 2, **changed: Any) -> LSTM:
    return LSTM(inputs, outputs, **{**SHARED, "widths": [], "units": 3, **changed})


def parameters_of(network: Network | RecurrentNetwork, dtype: torch.dtype = torch.float64, seed: int = 0) -> Parameters:
    """Return the network's initial parameters."""
    return cast(network.initial(streams(seed, "init")), dtype)


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
