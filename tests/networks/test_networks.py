"""Networks compute, run by run, what torch's own functions compute; parameters are drawn each from its own stream."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pgexp.networks.linear import Linear
from pgexp.networks.mlp import MLP
from pgexp.networks.network import Network
from pgexp.networks.parameters import Parameters, stack, streams

RUNS, ROWS = 3, 5


def mlp(inputs: int = 4, outputs: int = 2, **changed: Any) -> MLP:
    settings = {
        "widths": [8, 6],
        "activation": "tanh",
        "initialization": "pytorch",
        "hidden_gain": 1.0,
        "output_gain": 1.0,
    }
    return MLP(inputs, outputs, **{**settings, **changed})


def linear(inputs: int = 4, outputs: int = 2, **changed: Any) -> Linear:
    return Linear(inputs, outputs, **{"bias": True, "initialization": "pytorch", "gain": 1.0, **changed})


def stacked(network: Network) -> Parameters:
    """Return parameters of three runs, those of seeds 0, 1 and 2."""
    return stack([network.initial(streams(seed, "init")) for seed in range(RUNS)])


def inputs(size: int = 4) -> Tensor:
    return torch.randn(RUNS, ROWS, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class TestForward:
    @pytest.mark.parametrize("bias", [True, False])
    def test_a_linear_network_is_one_affine_layer_a_run(self, bias: bool) -> None:
        network, x = linear(bias=bias), inputs()
        parameters = stacked(network)
        assert parameters.keys() == ({"0.weight", "0.bias"} if bias else {"0.weight"})
        found = network(parameters, x)
        for run in range(RUNS):
            offset = parameters["0.bias"][run] if bias else None
            torch.testing.assert_close(found[run], functional.linear(x[run], parameters["0.weight"][run].T, offset))

    @pytest.mark.parametrize(
        ("name", "activation"),
        [("relu", functional.relu), ("tanh", torch.tanh), ("leaky_relu", functional.leaky_relu)],
    )
    def test_an_mlp_is_affine_layers_with_an_activation_between(
        self, name: str, activation: Callable[[Tensor], Tensor]
    ) -> None:
        network, x = mlp(activation=name), inputs()
        parameters = stacked(network)
        found = network(parameters, x)
        assert found.shape == (RUNS, ROWS, 2)
        for run in range(RUNS):
            own = {key: tensor[run] for key, tensor in parameters.items()}
            h = activation(functional.linear(x[run], own["0.weight"].T, own["0.bias"]))
            h = activation(functional.linear(h, own["1.weight"].T, own["1.bias"]))
            torch.testing.assert_close(found[run], functional.linear(h, own["2.weight"].T, own["2.bias"]))

    def test_an_mlp_without_hidden_layers_is_linear(self) -> None:
        parameters = stacked(mlp(widths=[]))
        torch.testing.assert_close(mlp(widths=[])(parameters, inputs()), linear()(parameters, inputs()))

    @pytest.mark.parametrize("name", ["relu", "tanh", "leaky_relu"])
    def test_gradients_are_right_and_inputs_are_left_as_they_are(self, name: str) -> None:
        network, x = mlp(activation=name, widths=[3]), inputs()
        before = x.clone()
        parameters = {key: tensor.requires_grad_() for key, tensor in stacked(network).items()}
        keys = [*parameters]
        assert torch.autograd.gradcheck(
            lambda *tensors: network(dict(zip(keys, tensors, strict=True)), x), [*parameters.values()]
        )
        assert torch.equal(x, before)


class TestInitial:
    def test_shapes_are_one_runs_in_double_precision(self) -> None:
        drawn = mlp(inputs=4, widths=[8, 6], outputs=2).initial(streams(0))
        assert {name: tuple(tensor.shape) for name, tensor in drawn.items()} == {
            f"{layer}.{part}": shape
            for layer, sizes in enumerate([(4, 8), (8, 6), (6, 2)])
            for part, shape in (("weight", sizes), ("bias", sizes[1:]))
        }
        assert {tensor.dtype for tensor in drawn.values()} == {torch.float64}

    def test_a_seed_gives_the_same_parameters_whatever_was_drawn_before(self) -> None:
        first = mlp().initial(streams(3, "init"))
        torch.manual_seed(99)
        mlp().initial(streams(4, "init"))
        again = mlp().initial(streams(3, "init"))
        assert all(torch.equal(first[name], again[name]) for name in first)

    def test_the_global_generator_is_not_touched(self) -> None:
        before = torch.random.get_rng_state()
        for initialization in ("orthogonal", "xavier", "kaiming", "pytorch", "zeros"):
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
