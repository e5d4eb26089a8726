"""Second derivatives of networks, which the natural gradient needs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pgexp.networks.network import Network, RecurrentNetwork
from pgexp.networks.recurrent import unroll
from tests.networks.option_networks import cnn, drawn, gru, linear, lstm, mlp, parameters_of

SIZE = 8

EACH_NETWORK = pytest.mark.parametrize(
    "make",
    [
        lambda: linear(SIZE),
        lambda: mlp(SIZE, widths=[2], layer_norm=True),
        lambda: mlp(SIZE, widths=[3], activation="relu"),
        lambda: mlp(SIZE, widths=[3], activation="leaky_relu"),
        lambda: cnn((2, 2, 2), filters=[2], kernels=[2], strides=[1], widths=[2]),
        lambda: gru(SIZE, units=2),
        lambda: lstm(SIZE, units=2),
    ],
    ids=["linear", "mlp", "relu", "leaky_relu", "cnn", "gru", "lstm"],
)


def squares(network: Network | RecurrentNetwork, own: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the squared outputs for x [3, SIZE], which are two episodes of a recurrent network."""
    if isinstance(network, RecurrentNetwork):
        memory = torch.zeros(2, network.memory_size, dtype=torch.float64)
        return unroll(network, own, x, np.array([1, 2]), memory)[0].square()
    return network(own, x).square()


@EACH_NETWORK
def test_second_derivatives_equal_finite_differences(make: Callable[[], Network | RecurrentNetwork]) -> None:
    network = make()
    parameters, x = parameters_of(network), drawn(3, SIZE)
    keys = [*parameters]
    leaves = [tensor.requires_grad_() for tensor in parameters.values()]
    assert torch.autograd.gradgradcheck(
        lambda *tensors: squares(network, dict(zip(keys, tensors, strict=True)), x), leaves
    )


@EACH_NETWORK
def test_many_products_with_the_hessian_at_once(make: Callable[[], Network | RecurrentNetwork]) -> None:
    network = make()
    parameters = {name: tensor.requires_grad_() for name, tensor in parameters_of(network).items()}
    leaves = [*parameters.values()]
    gradients = torch.autograd.grad(squares(network, parameters, drawn(3, SIZE)).sum(), leaves, create_graph=True)
    flat = torch.cat([gradient.flatten() for gradient in gradients])

    def times_hessian(vector: Tensor) -> Tensor:
        found = torch.autograd.grad(flat, leaves, vector, retain_graph=True, materialize_grads=True)
        return torch.cat([each.flatten() for each in found])

    vectors = drawn(4, len(flat), seed=1)
    expected = torch.stack([times_hessian(vector) for vector in vectors])
    torch.testing.assert_close(torch.func.vmap(times_hessian)(vectors), expected, rtol=1e-10, atol=1e-10)
