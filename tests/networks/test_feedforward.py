"""Linear networks and MLPs compared with torch's functions, and their initial parameters."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pgexp.networks.network import streams
from tests.networks.option_networks import drawn, linear, mlp, parameters_of

ROWS = 5


def inputs(size: int = 4) -> Tensor:
    return drawn(ROWS, size)


class TestForward:
    @pytest.mark.parametrize("bias", [True, False])
    def test_a_linear_network_is_one_affine_layer(self, bias: bool) -> None:
        network, x = linear(bias=bias), inputs()
        parameters = parameters_of(network)
        assert parameters.keys() == ({"0.weight", "0.bias"} if bias else {"0.weight"})
        expected = functional.linear(x, parameters["0.weight"].T, parameters["0.bias"] if bias else None)
        torch.testing.assert_close(network(parameters, x), expected)

    @pytest.mark.parametrize(
        ("name", "activation"),
        [("relu", functional.relu), ("tanh", torch.tanh), ("leaky_relu", functional.leaky_relu)],
    )
    def test_an_mlp_is_affine_layers_and_activations(self, name: str, activation: Callable[[Tensor], Tensor]) -> None:
        network, x = mlp(activation=name), inputs()
        own = parameters_of(network)
        found = network(own, x)
        assert found.shape == (ROWS, 2)
        h = activation(functional.linear(x, own["0.weight"].T, own["0.bias"]))
        h = activation(functional.linear(h, own["1.weight"].T, own["1.bias"]))
        torch.testing.assert_close(found, functional.linear(h, own["2.weight"].T, own["2.bias"]))

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_hidden_layers_may_be_normalised_before_their_activation(self, dtype: torch.dtype) -> None:
        network, x = mlp(layer_norm=True, activation="relu"), inputs().to(dtype)
        initial = parameters_of(network, dtype)
        own = {name: tensor + drawn(*tensor.shape, dtype=dtype) for name, tensor in initial.items()}
        h = x
        for layer, width in (("0", 8), ("1", 6)):
            norm = torch.nn.LayerNorm(width, dtype=dtype)
            norm.load_state_dict({"weight": own[f"{layer}.scale"], "bias": own[f"{layer}.shift"]})
            h = torch.relu(norm(functional.linear(h, own[f"{layer}.weight"].T, own[f"{layer}.bias"])))
        torch.testing.assert_close(network(own, x), functional.linear(h, own["2.weight"].T, own["2.bias"]))

    def test_normalised_units_start_with_mean_0_and_deviation_1(self) -> None:
        network = mlp(layer_norm=True, widths=[50], activation="leaky_relu", hidden_gain=30.0)
        (units,) = network.hidden(parameters_of(network), inputs())
        before = torch.where(units < 0, 100 * units, units)  # leaky ReLU undone
        torch.testing.assert_close(before.mean(-1), torch.zeros(ROWS, dtype=torch.float64), atol=1e-12, rtol=0)
        torch.testing.assert_close(before.square().mean(-1), torch.ones(ROWS, dtype=torch.float64), rtol=1e-4, atol=0)

    @pytest.mark.parametrize("layer_norm", [False, True])
    def test_outputs_are_computed_from_the_hidden_units(self, layer_norm: bool) -> None:
        network, x = mlp(layer_norm=layer_norm), inputs()
        parameters = parameters_of(network)
        first, second = network.hidden(parameters, x)
        assert first.shape == (ROWS, 8)
        assert second.shape == (ROWS, 6)
        assert first.abs().max() < 1  # after the tanh
        (again,) = mlp(layer_norm=layer_norm, widths=[8]).hidden(parameters, x)
        assert torch.equal(first, again)  # not overwritten by the second layer
        torch.testing.assert_close(network(parameters, x), second @ parameters["2.weight"] + parameters["2.bias"])

    def test_an_mlp_without_hidden_layers_is_linear(self) -> None:
        parameters = parameters_of(mlp(widths=[]))
        torch.testing.assert_close(mlp(widths=[])(parameters, inputs()), linear()(parameters, inputs()))
        assert mlp(widths=[]).hidden(parameters, inputs()) == []

    @pytest.mark.parametrize("layer_norm", [False, True])
    @pytest.mark.parametrize("name", ["relu", "tanh", "leaky_relu"])
    def test_gradients_are_right_and_inputs_are_not_changed(self, name: str, layer_norm: bool) -> None:
        network, x = mlp(activation=name, widths=[3], layer_norm=layer_norm), inputs()
        before = x.clone()
        parameters = {key: tensor.requires_grad_() for key, tensor in parameters_of(network).items()}
        keys = [*parameters]
        assert torch.autograd.gradcheck(
            lambda *tensors: network(dict(zip(keys, tensors, strict=True)), x), [*parameters.values()]
        )
        assert torch.equal(x, before)


class TestInitial:
    def test_shapes_and_precision(self) -> None:
        drawn = mlp(inputs=4, widths=[8, 6], outputs=2).initial(streams(0))
        assert {name: tuple(tensor.shape) for name, tensor in drawn.items()} == {
            f"{layer}.{part}": shape
            for layer, sizes in enumerate([(4, 8), (8, 6), (6, 2)])
            for part, shape in (("weight", sizes), ("bias", sizes[1:]))
        }
        assert {tensor.dtype for tensor in drawn.values()} == {torch.float64}

    def test_parameters_depend_on_the_seed_only(self) -> None:
        first = mlp().initial(streams(3, "init"))
        torch.manual_seed(99)
        mlp().initial(streams(4, "init"))
        again = mlp().initial(streams(3, "init"))
        assert all(torch.equal(first[name], again[name]) for name in first)

    def test_torchs_global_generator_is_not_used(self) -> None:
        before = torch.random.get_rng_state()
        for initialization in ("orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"):
            mlp(initialization=initialization).initial(streams(0))
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_seeds_and_purposes_give_different_parameters(self) -> None:
        drawn = [mlp().initial(streams(*key)) for key in ((0, "init"), (1, "init"), (0, "init", "value"), (0, "other"))]
        for name in drawn[0]:
            values = torch.cat([parameters[name].ravel() for parameters in drawn])
            assert len(values.unique()) == len(values)

    def test_no_two_parameters_of_a_network_share_numbers(self) -> None:
        drawn = mlp(inputs=8, widths=[8, 8], outputs=8).initial(streams(0))
        values = torch.cat([tensor.ravel() for tensor in drawn.values()])
        assert len(values.unique()) == len(values)

    def test_a_layer_does_not_depend_on_the_others(self) -> None:
        narrow, wide = mlp(widths=[8, 6]).initial(streams(0)), mlp(widths=[8, 7, 5]).initial(streams(0))
        assert torch.equal(narrow["0.weight"], wide["0.weight"])
        assert torch.equal(narrow["0.bias"], wide["0.bias"])

    def test_gains_scale_the_hidden_layers_and_the_output_layer(self) -> None:
        plain = mlp(initialization="orthogonal").initial(streams(0))
        scaled = mlp(initialization="orthogonal", hidden_gain=4.0, output_gain=0.25).initial(streams(0))
        for name, factor in (("0.weight", 4.0), ("1.weight", 4.0), ("2.weight", 0.25)):
            assert torch.equal(scaled[name], factor * plain[name])  # powers of two scale exactly

    def test_a_linear_networks_gain_scales_its_weight(self) -> None:
        assert torch.equal(
            linear(gain=4.0).initial(streams(0))["0.weight"], 4 * linear().initial(streams(0))["0.weight"]
        )
