"""Recurrent networks unrolled over batches of episodes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import rnn

from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters
from pgexp.networks.sequences import unroll
from tests.networks.built import drawn, gru, lstm, parameters_of

Make = Callable[..., RecurrentNetwork]
CELLS = pytest.mark.parametrize("make", [gru, lstm])
LENGTHS = np.array([2, 5, 1, 5, 3])


def alone(network: RecurrentNetwork, parameters: Parameters, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return one episode's outputs and its last memory, step by step. x: [T, I], memory: [Z]."""
    outputs, now = [], memory.reshape(1, -1)
    for step in x:
        now = network.advance(parameters, network.encode(parameters, step.reshape(1, -1)), now)
        outputs.append(network.decode(parameters, now)[0])
    return torch.stack(outputs), now[0]


def batch(network: RecurrentNetwork, lengths: np.ndarray = LENGTHS) -> tuple[Parameters, Tensor, Tensor]:
    memory = drawn(len(lengths), network.memory_size, seed=1)
    return parameters_of(network), drawn(int(lengths.sum()), 4), memory


@CELLS
@pytest.mark.parametrize("lengths", [[2, 5, 1, 5, 3], [4], [1], [1, 1, 1], [1, 2, 3], [3, 2, 1], [7, 7]])
def test_each_episode_equals_the_episode_alone(make: Make, lengths: list[int]) -> None:
    network = make(widths=[6])
    parameters, x, memory = batch(network, np.array(lengths))
    outputs, after = unroll(network, parameters, x, np.array(lengths), memory)
    assert outputs.shape == (sum(lengths), 2)
    for episode, steps in enumerate(torch.arange(sum(lengths)).split(lengths)):
        expected, last = alone(network, parameters, x[steps], memory[episode])
        torch.testing.assert_close(outputs[steps], expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(after[episode], last, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("make", "kind"), [(gru, nn.GRU), (lstm, nn.LSTM)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_it_equals_torch_over_packed_sequences(make: Make, kind: type, dtype: torch.dtype) -> None:
    network = make()
    parameters = parameters_of(network, dtype)
    x, memory = drawn(16, 4, dtype=dtype), drawn(5, network.memory_size, dtype=dtype, seed=1)
    theirs = kind(4, 3, dtype=dtype)
    bias = parameters["gates.bias"]
    theirs.load_state_dict({
        "weight_ih_l0": parameters["gates.weight"].T,
        "weight_hh_l0": parameters["recurrent.weight"].T,
        "bias_ih_l0": bias,
        "bias_hh_l0": parameters["recurrent.bias"] if "recurrent.bias" in parameters else torch.zeros_like(bias),
    })  # fmt: skip
    parts = [part.unsqueeze(0).contiguous() for part in memory.split(3, -1)]
    packed = rnn.pack_sequence(x.split(LENGTHS.tolist()), enforce_sorted=False)
    units, last = theirs(packed, parts[0] if kind is nn.GRU else tuple(parts))
    units = torch.cat(rnn.unpack_sequence(units))
    outputs, after = unroll(network, parameters, x, LENGTHS, memory)
    torch.testing.assert_close(outputs, units @ parameters["output.weight"] + parameters["output.bias"])
    torch.testing.assert_close(after, (last if kind is nn.GRU else torch.cat(last, -1))[0])


@CELLS
def test_an_episode_does_not_depend_on_the_others(make: Make) -> None:
    """Other steps and memories in all episodes except one change no bit of that episode."""
    network = make()
    parameters, x, memory = batch(network)
    outputs, after = unroll(network, parameters, x, LENGTHS, memory)
    for episode, steps in enumerate(torch.arange(16).split(LENGTHS.tolist())):
        others, strange = drawn(16, 4, seed=2), drawn(5, network.memory_size, seed=3)
        others[steps], strange[episode] = x[steps], memory[episode]
        found, last = unroll(network, parameters, others, LENGTHS, strange)
        assert torch.equal(found[steps], outputs[steps])
        assert torch.equal(last[episode], after[episode])
        assert [*np.flatnonzero(torch.isclose(last, after).all(1))] == [episode]  # the others did change


@CELLS
def test_no_gradient_reaches_another_episode_or_an_earlier_output(make: Make) -> None:
    network = make()
    parameters, x, memory = batch(network)
    x, memory = x.requires_grad_(), memory.requires_grad_()
    outputs, _ = unroll(network, parameters, x, LENGTHS, memory)
    of_x, of_memory = torch.autograd.grad(outputs[4].sum(), [x, memory])  # the second episode's third step
    assert of_x.any(1).nonzero().flatten().tolist() == [2, 3, 4]
    assert of_memory.any(1).nonzero().flatten().tolist() == [1]


@CELLS
def test_a_cut_episode_continues_from_its_memory(make: Make) -> None:
    network = make(widths=[6])
    parameters, x, _ = batch(network, np.array([7]))
    start = torch.zeros(1, network.memory_size, dtype=torch.float64)
    whole, last = unroll(network, parameters, x, np.array([7]), start)
    first, between = unroll(network, parameters, x[:3], np.array([3]), start)
    second, again = unroll(network, parameters, x[3:], np.array([4]), between)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(again, last, rtol=1e-12, atol=1e-12)


@CELLS
def test_gradients_through_time_are_right(make: Make) -> None:
    network = make(inputs=2, outputs=1, units=2)
    parameters, lengths = parameters_of(network), np.array([1, 3, 2])
    x, memory = drawn(6, 2).requires_grad_(), drawn(3, network.memory_size, seed=1).requires_grad_()
    keys = [*parameters]

    def outputs(x: Tensor, memory: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        return unroll(network, dict(zip(keys, tensors, strict=True)), x, lengths, memory)

    assert torch.autograd.gradcheck(outputs, [x, memory, *(one.requires_grad_() for one in parameters.values())])


@CELLS
def test_lengths_must_add_up_to_the_steps(make: Make) -> None:
    network = make()
    parameters, x, memory = batch(network)
    with pytest.raises(AssertionError):
        unroll(network, parameters, x[:-1], LENGTHS, memory)
