"""Networks as configured in conf/network."""

from importlib import import_module
from typing import Any

import pytest
import torch
import yaml

from pgexp.networks.network import Inspectable, Network, RecurrentNetwork, streams
from tests.conftest import CONF
from tests.networks.option_networks import drawn, parameters_of

SHAPES = {"cnn_nature": (4, 84, 84), "cnn_small": (10, 10, 6)}
NAMES = sorted(path.stem for path in (CONF / "network").glob("*.yaml"))


def built(name: str, **changed: Any) -> Network | RecurrentNetwork:
    settings = yaml.safe_load((CONF / "network" / f"{name}.yaml").read_text())
    module, _, kind = settings.pop("_target_").rpartition(".")
    shape = SHAPES.get(name, (4,))
    handed = {"inputs": int(torch.Size(shape).numel()), "outputs": 3}
    handed |= {"shape": shape} if name in SHAPES else {}
    return getattr(import_module(module), kind)(**handed, **{**settings, **changed})


@pytest.mark.parametrize("name", NAMES)
def test_an_option_builds_a_network_with_small_initial_outputs(name: str) -> None:
    network = built(name)
    x = drawn(3, int(torch.Size(SHAPES.get(name, (4,))).numel())).abs()
    parameters = parameters_of(network)
    if isinstance(network, RecurrentNetwork):
        memory = torch.zeros(3, network.memory_size, dtype=torch.float64)
        outputs = network.decode(parameters, network.advance(parameters, network.encode(parameters, x), memory))
    else:
        outputs = network(parameters, x)
    assert outputs.shape == (3, 3)
    assert outputs.abs().max() < 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("initialization", ["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"])
def test_every_network_takes_every_initialisation(name: str, initialization: str) -> None:
    small = {"filters": [2], "kernels": [8], "strides": [8], "widths": [3]} if name == "cnn_nature" else {}
    drawn = built(name, initialization=initialization, **small).initial(streams(0))
    weights = torch.cat([tensor.ravel() for key, tensor in drawn.items() if key.endswith("weight")])
    assert weights.any().item() == (initialization != "zeros")


@pytest.mark.parametrize("name", NAMES)
def test_all_networks_except_convolutional_ones_are_compiled(name: str) -> None:
    layers = built(name).layers()
    assert (layers is None) == name.startswith("cnn")
    if layers is not None:
        shapes = {key: tensor.shape for key, tensor in built(name).initial(streams(0)).items()}
        assert {part for layer in layers for part in (layer.first, layer.second)} - {None} == shapes.keys()
        assert (layers[0].inputs, layers[-1].outputs) == (4, 3)


def test_the_nature_network_has_the_layers_of_mnih_et_al() -> None:
    """Table 1 of Mnih et al. 2015: 20 x 20 x 32, 9 x 9 x 64, 7 x 7 x 64, 512."""
    shapes = {name: tuple(tensor.shape) for name, tensor in built("cnn_nature").initial(streams(0)).items()}
    assert [shapes[f"{i}.weight"] for i in range(5)] == [
        (32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (64 * 7 * 7, 512), (512, 3),
    ]  # fmt: skip
    network = built("cnn_nature")
    assert isinstance(network, Inspectable)
    hidden = network.hidden(parameters_of(network), torch.full((1, 4 * 84 * 84), 255.0, dtype=torch.float64))
    assert [units.shape[1] for units in hidden] == [32 * 20 * 20, 64 * 9 * 9, 64 * 7 * 7, 512]


def test_the_small_network_has_the_layers_of_minatar() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in built("cnn_small").initial(streams(0)).items()}
    assert [shapes[f"{i}.weight"] for i in range(3)] == [(16, 6, 3, 3), (16 * 8 * 8, 128), (128, 3)]
