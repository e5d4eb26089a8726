"""A run's outputs do not depend on how many runs are stacked beside it: to the last bit, network by network.

tests/functional/test_row_independence.py holds single operations to it; here are the networks made of them, with
layer normalisation, convolutions and cells. Packs act through what is tested here.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pgexp.networks.network import Network, RecurrentNetwork
from pgexp.networks.parameters import Parameters
from tests.networks.built import cnn, drawn, gru, linear, lstm, mlp, stacked

RUNS = 32
PARTS = [
    slice(first, first + count) for count in (1, 2, 5, 32) for first in (0, 1, 3, 16, 27, 31) if first + count <= 32
]
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
ROWS = pytest.mark.parametrize("rows", [1, 2, 3, 8])
WIDTHS = (1, 2, 3, 8, 33)

Forward = Callable[[Parameters, Tensor, Tensor], Tensor]


def assert_runs_are_independent(
    network: Network | RecurrentNetwork, forward: Forward, rows: int, size: int, memory: int, dtype: torch.dtype
) -> None:
    parameters = stacked(network, RUNS, dtype)
    x, before = drawn(RUNS, rows, size, dtype=dtype), drawn(RUNS, rows, memory, dtype=dtype, seed=1)
    among = forward(parameters, x, before)
    for runs in PARTS:
        few = {name: tensor[runs].clone() for name, tensor in parameters.items()}
        assert torch.equal(forward(few, x[runs].clone(), before[runs].clone()), among[runs]), runs


def forward_of(network: Network) -> Forward:
    return lambda parameters, x, _: network(parameters, x)


def step_of(network: RecurrentNetwork) -> Forward:
    def step(parameters: Parameters, x: Tensor, memory: Tensor) -> Tensor:
        after = network.advance(parameters, network.encode(parameters, x), memory)
        return torch.cat([after, network.decode(parameters, after)], -1)

    return step


@DTYPES
@ROWS
@pytest.mark.parametrize("width", WIDTHS)
def test_perceptrons(width: int, rows: int, dtype: torch.dtype) -> None:
    for outputs in (1, 3):
        for network in (
            linear(width, outputs),
            mlp(width, outputs, widths=[width]),
            mlp(width, outputs, widths=[width, 4], layer_norm=True),
            mlp(width, outputs, widths=[4, width], layer_norm=True, activation="leaky_relu"),
        ):
            assert_runs_are_independent(network, forward_of(network), rows, width, 0, dtype)


@DTYPES
@ROWS
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((1, 3, 3), {"filters": [1], "kernels": [3], "strides": [1], "widths": []}),
        ((1, 3, 3), {"filters": [1, 1], "kernels": [1, 2], "strides": [1, 1], "widths": [1]}),
        ((4, 10, 10), {"filters": [16], "kernels": [3], "strides": [1], "widths": [8]}),
        ((10, 10, 7), {"filters": [16], "kernels": [3], "strides": [1], "widths": [8], "channels": "last"}),
        ((5, 5, 1), {"filters": [3, 5], "kernels": [2, 2], "strides": [2, 1], "channels": "last"}),
        ((4, 36, 36), {"filters": [32, 64, 64], "kernels": [8, 4, 3], "strides": [4, 2, 1], "widths": [16]}),
    ],
)
def test_convolutional_networks(
    shape: tuple[int, ...], settings: dict[str, object], rows: int, dtype: torch.dtype
) -> None:
    network = cnn(shape, 3, activation="relu", **settings)
    assert_runs_are_independent(network, forward_of(network), rows, int(torch.Size(shape).numel()), 0, dtype)


@DTYPES
@ROWS
@pytest.mark.parametrize("units", WIDTHS)
@pytest.mark.parametrize("make", [gru, lstm])
def test_cells(make: Callable[..., RecurrentNetwork], units: int, rows: int, dtype: torch.dtype) -> None:
    for inputs, outputs, widths in ((1, 1, []), (4, 2, []), (4, 1, [3])):
        network = make(inputs, outputs, units=units, widths=widths)
        assert_runs_are_independent(network, step_of(network), rows, inputs, network.memory_size, dtype)


def test_a_network_whose_runs_depend_on_each_other_would_be_found() -> None:
    with pytest.raises(AssertionError):
        assert_runs_are_independent(linear(3), lambda _, x, __: x / x.norm(), 2, 3, 0, torch.float32)
