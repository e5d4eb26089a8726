"""Initial weights have the distribution that their papers state."""

import math

import pytest
import torch
from torch import Tensor

from pgexp.networks.layers import Dense, Initialization, initial_weight
from pgexp.networks.parameters import streams

INPUTS, OUTPUTS = 200, 300
BOUNDS = {
    "xavier": math.sqrt(6 / (INPUTS + OUTPUTS)),  # Glorot & Bengio 2010, eq. 16
    "kaiming": math.sqrt(6 / INPUTS),  # He et al. 2015, eq. 10: variance 2 / inputs
    "pytorch": math.sqrt(1 / INPUTS),  # torch.nn.Linear
}


def weight(inputs: int, outputs: int, initialization: Initialization, gain: float = 1.0) -> Tensor:
    return initial_weight(inputs, outputs, initialization, gain, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("initialization", "bound"), BOUNDS.items())
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_uniform_weights_fill_their_interval_evenly(initialization: Initialization, bound: float, gain: float) -> None:
    drawn = weight(INPUTS, OUTPUTS, initialization, gain) / (gain * bound)
    count = drawn.numel()
    assert drawn.shape == (INPUTS, OUTPUTS)
    assert drawn.abs().max() <= 1 + 1e-12
    assert drawn.abs().max() > 0.999  # fails by chance with (1 - .001)^60,000 = 8e-27
    # Mean 0 and variance 1/3, within 7 standard errors: either fails by chance with 3e-12.
    assert abs(drawn.mean().item()) < 7 * math.sqrt(1 / 3 / count)
    assert abs(drawn.square().mean().item() - 1 / 3) < 7 * math.sqrt(4 / 45 / count)


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2), 0.01])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (9, 4), (4, 9), (1, 5), (5, 1)])
def test_orthogonal_weights_are(inputs: int, outputs: int, gain: float) -> None:
    drawn = weight(inputs, outputs, "orthogonal", gain)
    product = drawn.T @ drawn if inputs >= outputs else drawn @ drawn.T
    torch.testing.assert_close(product, gain**2 * torch.eye(min(inputs, outputs), dtype=torch.float64))


def test_zeros_are_zeros() -> None:
    assert weight(3, 4, "zeros").tolist() == [[0.0] * 4] * 3


@pytest.mark.parametrize("initialization", ["orthogonal", "xavier", "kaiming", "zeros"])
def test_biases_begin_at_zero(initialization: Initialization) -> None:
    assert Dense("0", 3, 4, initialization).initial(streams(0))["0.bias"].tolist() == [0.0] * 4


def test_pytorchs_biases_are_uniform_within_the_weights_bound() -> None:
    bias = Dense("0", 16, 10_000, "pytorch").initial(streams(0))["0.bias"]
    assert 0.249 < bias.abs().max() <= 0.25  # fails by chance with .996^10,000 = 4e-18
    assert abs(bias.mean().item()) < 7 * 0.25 * math.sqrt(1 / 3 / 10_000)  # with 3e-12


def test_a_layer_may_have_no_bias() -> None:
    assert Dense("0", 3, 4, "pytorch", bias=False).initial(streams(0)).keys() == {"0.weight"}
