"""Convolutional networks compared with torch's modules."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pgexp.networks.network import streams
from tests.networks.option_networks import cnn, drawn, parameters_of

ROWS = 5
FLAT = 2 * 7 * 9


def inputs(dtype: torch.dtype = torch.float64) -> Tensor:
    return drawn(ROWS, FLAT, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("name", "activation"), [("relu", torch.relu), ("tanh", torch.tanh), ("leaky_relu", functional.leaky_relu)]
)
def test_it_equals_torchs_layers(name: str, activation: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    network, x = cnn(activation=name), inputs(dtype)
    own = parameters_of(network, dtype)
    found = network(own, x)
    assert found.shape == (ROWS, 2)
    # 7 x 9 becomes 3 x 4 by a kernel of 3 in steps of 2, and that 2 x 3 by a kernel of 2.
    layers = [nn.Conv2d(2, 3, 3, 2), nn.Conv2d(3, 4, 2, 1), nn.Linear(4 * 2 * 3, 5), nn.Linear(5, 2)]
    for i, layer in enumerate(layers):
        weight = own[f"{i}.weight"] if i < 2 else own[f"{i}.weight"].T
        layer.to(dtype).load_state_dict({"weight": weight, "bias": own[f"{i}.bias"]})
    h = activation(layers[1](activation(layers[0](x.reshape(ROWS, 2, 7, 9)))))
    torch.testing.assert_close(found, layers[3](activation(layers[2](h.flatten(1)))))


def test_a_convolution_by_hand() -> None:
    """A picture [[1, 2, 3], [4, 5, 6]] and a kernel [[1, 10], [100, 1000]], which covers 1 2 / 4 5 and 2 3 / 5 6."""
    network = cnn((1, 2, 3), 1, filters=[1], kernels=[2], strides=[1], widths=[], activation="relu")
    parameters = {
        "0.weight": torch.tensor([[1.0, 10.0], [100.0, 1000.0]]).reshape(1, 1, 2, 2),
        "0.bias": torch.tensor([-6000.0]),
        "1.weight": torch.tensor([[1.0], [2.0]]),
        "1.bias": torch.tensor([0.5]),
    }
    x = torch.arange(1.0, 7.0).reshape(1, 6)
    (maps,) = network.hidden(parameters, x)
    assert maps.tolist() == [[0.0, 532.0]]  # max(5,421 - 6,000, 0) and 6,532 - 6,000
    assert network(parameters, x).tolist() == [[1064.5]]


def test_channels_may_come_last() -> None:
    first, last = cnn((2, 7, 9)), cnn((7, 9, 2), channels="last")
    parameters, x = parameters_of(first), inputs()
    turned = x.reshape(ROWS, 2, 7, 9).permute(0, 2, 3, 1).reshape(ROWS, FLAT)
    torch.testing.assert_close(last(parameters, turned), first(parameters, x), rtol=1e-12, atol=1e-12)


def test_outputs_are_computed_from_the_hidden_units() -> None:
    network, parameters = cnn(), parameters_of(cnn())
    first, second, third = network.hidden(parameters, inputs())
    assert [units.shape[1] for units in (first, second, third)] == [3 * 3 * 4, 4 * 2 * 3, 5]
    assert all(units.abs().max() < 1 for units in (first, second, third))  # after the tanh
    shallow = cnn(filters=[3], kernels=[3], strides=[2], widths=[])
    assert torch.equal(first, shallow.hidden(parameters_of(shallow), inputs())[0])  # not overwritten by the next layer
    outputs = third @ parameters["3.weight"] + parameters["3.bias"]
    torch.testing.assert_close(network(parameters, inputs()), outputs)


def test_initial_shapes_and_precision() -> None:
    found = cnn().initial(streams(0))
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        "0.weight": (3, 2, 3, 3), "0.bias": (3,), "1.weight": (4, 3, 2, 2), "1.bias": (4,),
        "2.weight": (24, 5), "2.bias": (5,), "3.weight": (5, 2), "3.bias": (2,),
    }  # fmt: skip
    assert {tensor.dtype for tensor in found.values()} == {torch.float64}


@pytest.mark.parametrize("name", ["relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("channels", ["first", "last"])
def test_gradients_are_right_and_inputs_are_not_changed(name: str, channels: str) -> None:
    network = cnn((3, 3, 3), channels=channels, activation=name, filters=[2], kernels=[2], strides=[1], widths=[2])
    x = drawn(2, 27)
    before = x.clone()
    parameters = {key: tensor.requires_grad_() for key, tensor in parameters_of(network).items()}
    keys = [*parameters]
    assert torch.autograd.gradcheck(
        lambda *tensors: network(dict(zip(keys, tensors, strict=True)), x), [*parameters.values()]
    )
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("shape", "changed", "message"),
    [
        ((4, 84, 84), {"channels": "last"}, r"channels=last an image of shape \(4, 84, 84\) has 84 channels"),
        ((4,), {}, r"must be an image .* \(got shape \(4,\)\).* network=mlp"),
        ((84, 84), {}, r"must be an image .* or stack the frames"),
        ((4, 84, 84, 3), {}, "must be an image"),
        ((1, 2, 9), {}, "kernel of convolution 1 exceeds its input of 2 x 9"),
        ((1, 3, 9), {}, "kernel of convolution 2 exceeds its input of 1 x 4"),
        ((84, 84, 1), {}, "has 84 channels of 84 x 1: set channels"),
        ((1, 84, 84), {"channels": "last"}, "has 84 channels of 1 x 84: set channels"),
        ((1, 9, 9), {"strides": [1]}, "must have one number per convolution"),
        ((1, 9, 9), {"filters": [], "kernels": [], "strides": []}, "at least one"),
    ],
)
def test_mismatched_shapes_and_settings_are_refused(
    shape: tuple[int, ...], changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cnn(shape, **changed)


def test_a_picture_as_large_as_the_kernel_fits() -> None:
    network = cnn((1, 3, 3), filters=[2], kernels=[3], strides=[2], widths=[])
    assert network(parameters_of(network), drawn(ROWS, 9)).shape == (ROWS, 2)
