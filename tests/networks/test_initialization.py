"""Distributions of initial weights and biases, compared with the papers."""

import math

import pytest
import torch
from torch import Tensor

from pgexp.networks.layers import Convolution, Dense, Initialization
from pgexp.networks.network import streams
from tests.networks.option_networks import cnn, gru, lstm

INPUTS, OUTPUTS = 200, 300
BOUNDS = {
    "xavier": math.sqrt(6 / (INPUTS + OUTPUTS)),  # Glorot & Bengio 2010, eq. 16
    "kaiming": math.sqrt(3 / INPUTS),  # He et al. 2015, eq. 10: variance 2 / inputs, of which sqrt 2 is the gain
    "pytorch": math.sqrt(1 / INPUTS),  # torch.nn.Linear
}


def weight(inputs: int, outputs: int, initialization: Initialization, gain: float = 1.0) -> Tensor:
    return Dense("0", inputs, outputs, initialization, gain).initial(streams(0))["0.weight"]


@pytest.mark.parametrize(("initialization", "bound"), BOUNDS.items())
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_uniform_weights_are_uniform_within_their_bound(
    initialization: Initialization, bound: float, gain: float
) -> None:
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
def test_orthogonal_weights_are_orthogonal(inputs: int, outputs: int, gain: float) -> None:
    drawn = weight(inputs, outputs, "orthogonal", gain)
    product = drawn.T @ drawn if inputs >= outputs else drawn @ drawn.T
    torch.testing.assert_close(product, gain**2 * torch.eye(min(inputs, outputs), dtype=torch.float64))


def test_zero_weights_are_zero() -> None:
    assert weight(3, 4, "zeros").tolist() == [[0.0] * 4] * 3


def test_constant_weights_are_all_the_gain() -> None:
    assert weight(3, 4, "constant", 0.25).tolist() == [[0.25] * 4] * 3


@pytest.mark.parametrize("initialization", ["orthogonal", "xavier", "kaiming", "constant", "zeros"])
def test_biases_start_at_zero(initialization: Initialization) -> None:
    assert Dense("0", 3, 4, initialization).initial(streams(0))["0.bias"].tolist() == [0.0] * 4


def test_pytorchs_biases_are_uniform_within_the_weights_bound() -> None:
    bias = Dense("0", 16, 10_000, "pytorch").initial(streams(0))["0.bias"]
    assert 0.249 < bias.abs().max() <= 0.25  # fails by chance with .996^10,000 = 4e-18
    assert abs(bias.mean().item()) < 7 * 0.25 * math.sqrt(1 / 3 / 10_000)  # with 3e-12


def test_a_gain_scales_pytorchs_biases_too() -> None:
    plain, scaled = (Dense("0", 3, 4, "pytorch", gain).initial(streams(0))["0.bias"] for gain in (1.0, 0.25))
    assert torch.equal(scaled, 0.25 * plain)


def test_a_layer_may_have_no_bias() -> None:
    assert Dense("0", 3, 4, "pytorch", bias=False).initial(streams(0)).keys() == {"0.weight"}


class TestConvolutions:
    """5 channels, 40 filters, a kernel of 3 x 3: an output has 45 inputs, and an input has 360 outputs."""

    BOUNDS = (("xavier", math.sqrt(6 / (45 + 360))), ("kaiming", math.sqrt(3 / 45)), ("pytorch", math.sqrt(1 / 45)))

    @staticmethod
    def drawn(initialization: Initialization, gain: float = 1.0, **sizes: int) -> dict[str, Tensor]:
        sizes = {"channels": 5, "filters": 40, "kernel": 3, "stride": 1, **sizes}
        return Convolution("0", **sizes, initialization=initialization, gain=gain).initial(streams(0))

    @pytest.mark.parametrize(("initialization", "bound"), BOUNDS)
    def test_uniform_weights_are_uniform_within_their_bound(self, initialization: Initialization, bound: float) -> None:
        found = self.drawn(initialization, 0.5)["0.weight"] / (0.5 * bound)
        assert found.shape == (40, 5, 3, 3)
        assert 0.98 < found.abs().max() <= 1 + 1e-12  # fails by chance with .98^1,800 = 2e-16
        # The variance is 1/3, within 7 standard errors: fails by chance with 3e-12.
        assert abs(found.square().mean().item() - 1 / 3) < 7 * math.sqrt(4 / 45 / found.numel())

    @pytest.mark.parametrize("filters", [4, 45, 60])
    def test_orthogonal_filters_are_orthogonal(self, filters: int) -> None:
        matrix = self.drawn("orthogonal", 2.0, filters=filters)["0.weight"].flatten(1)
        product = matrix @ matrix.T if filters <= 45 else matrix.T @ matrix
        torch.testing.assert_close(product, 4 * torch.eye(len(product), dtype=torch.float64))

    def test_biases_are_uniform_for_pytorch_and_zero_otherwise(self) -> None:
        bias = self.drawn("pytorch", filters=10_000)["0.bias"] * math.sqrt(45)
        assert 0.996 < bias.abs().max() <= 1 + 1e-12  # fails by chance with .996^10,000 = 4e-18
        for initialization in ("orthogonal", "xavier", "kaiming", "constant", "zeros"):
            assert self.drawn(initialization)["0.bias"].tolist() == [0.0] * 40

    def test_constant_and_zero_weights(self) -> None:
        assert self.drawn("constant", 0.25)["0.weight"].unique().tolist() == [0.25]
        assert self.drawn("zeros")["0.weight"].unique().tolist() == [0.0]

    def test_gains_scale_all_hidden_layers_and_the_output_layer(self) -> None:
        plain = cnn(initialization="orthogonal").initial(streams(0))
        scaled = cnn(initialization="orthogonal", hidden_gain=4.0, output_gain=0.25).initial(streams(0))
        for name, factor in (("0.weight", 4.0), ("1.weight", 4.0), ("2.weight", 4.0), ("3.weight", 0.25)):
            assert torch.equal(scaled[name], factor * plain[name])  # powers of two scale exactly


class TestCells:
    @pytest.mark.parametrize(("make", "gates"), [(gru, 3), (lstm, 4)])
    @pytest.mark.parametrize("units", [3, 8])
    def test_the_weights_of_each_gate_are_orthogonal_for_all_gains(self, make: type, gates: int, units: int) -> None:
        network = make(inputs=5, units=units, initialization="orthogonal", hidden_gain=2.0, output_gain=0.5)
        found = network.initial(streams(0))
        parts = [*found["recurrent.weight"].chunk(gates, 1), *found["gates.weight"].chunk(gates, 1)]
        for part in parts:
            product = part.T @ part if len(part) >= units else part @ part.T
            torch.testing.assert_close(product, torch.eye(len(product), dtype=torch.float64))
        assert len(torch.cat(parts[:gates]).unique()) == gates * units**2  # each gate draws its own

    @pytest.mark.parametrize(("make", "gates"), [(gru, 3), (lstm, 4)])
    def test_xavier_weights_are_those_of_one_layer_per_gate(self, make: type, gates: int) -> None:
        found = make(inputs=100, units=50, initialization="xavier").initial(streams(0))
        for name, bound in (("gates.weight", math.sqrt(6 / 150)), ("recurrent.weight", math.sqrt(6 / 100))):
            for part in found[name].chunk(gates, 1):
                assert 0.99 * bound < part.abs().max() <= bound  # fails by chance with .99^2,500 = 1e-11

    def test_the_forget_gate_starts_1_higher_than_the_others(self) -> None:
        found = lstm(units=2, initialization="orthogonal").initial(streams(0))
        assert found["gates.bias"].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        uniform = lstm(inputs=100, units=500, initialization="pytorch").initial(streams(0))["gates.bias"]
        centres = [part.mean().item() for part in uniform.chunk(4)]
        assert centres == pytest.approx([0, 1, 0, 0], abs=7 * 0.1 * math.sqrt(1 / 3 / 500))  # by chance with 1e-11

    def test_the_biases_of_a_gru_start_at_zero(self) -> None:
        found = gru(initialization="orthogonal").initial(streams(0))
        assert found["gates.bias"].tolist() == found["recurrent.bias"].tolist() == [0.0] * 9

    @pytest.mark.parametrize("make", [gru, lstm])
    def test_hidden_and_output_layers_have_their_gains(self, make: type) -> None:
        settings = {"widths": [5], "initialization": "orthogonal"}
        plain = make(**settings).initial(streams(0))
        scaled = make(**settings, hidden_gain=4.0, output_gain=0.25).initial(streams(0))
        assert torch.equal(scaled["0.weight"], 4 * plain["0.weight"])
        assert torch.equal(scaled["output.weight"], 0.25 * plain["output.weight"])
