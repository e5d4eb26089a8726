"""Networks can be differentiated twice, many vectors at once: what the natural gradient asks of them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pgexp.networks.network import Network, RecurrentNetwork
from pgexp.networks.sequences import unroll
from tests.networks.built import cnn, drawn, gru, linear, lstm, mlp, stacked

SIZE = 8


@pytest.mark.parametrize(
    "make",
    [
        lambda: linear(SIZE),
        lambda: mlp(SIZE, widths=[2], layer_norm=True),
        lambda: cnn((2, 2, 2), filters=[2], kernels=[2], strides=[1], widths=[2]),
        lambda: gru(SIZE, units=2),
        lambda: lstm(SIZE, units=2),
    ],
    ids=["linear", "mlp", "cnn", "gru", "lstm"],
)
def test_second_derivatives_are_right(make: Callable[[], Network | RecurrentNetwork]) -> None:
    network = make()
    parameters, x = stacked(network, 1), drawn(3, SIZE)
    keys = [*parameters]

    def outputs(*tensors: Tensor) -> Tensor:
        own = dict(zip(keys, tensors, strict=True))
        if isinstance(network, RecurrentNetwork):
            memory = torch.zeros(2, network.memory_size, dtype=torch.float64)
            return unroll(network, own, x, np.array([1, 2]), memory)[0].square()
        return network(own, x.unsqueeze(0)).square()

    leaves = [tensor.requires_grad_() for tensor in parameters.values()]
    assert torch.autograd.gradgradcheck(outputs, leaves, check_batched_grad=True)
