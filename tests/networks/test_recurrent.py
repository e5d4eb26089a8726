"""Recurrent cells against torch's, and whole episodes against single steps."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import rnn

from pgexp.networks.network import Parameters, RecurrentNetwork, streams
from pgexp.networks.recurrent import unroll
from tests.networks.option_networks import drawn, gru, lstm, parameters_of

Make = Callable[..., RecurrentNetwork]
ROWS, UNITS = 5, 3
DTYPES = (torch.float64, torch.float32)


def cell_of(network: RecurrentNetwork, own: Parameters, inputs: int) -> nn.GRUCell | nn.LSTMCell:
    """Return torch's cell with these weights."""
    kind = nn.GRUCell if network.memory_size == UNITS else nn.LSTMCell
    cell = kind(inputs, UNITS, dtype=own["gates.weight"].dtype)
    bias = own.get("recurrent.bias", torch.zeros_like(own["gates.bias"]))
    weights = {"weight_ih": own["gates.weight"].T, "weight_hh": own["recurrent.weight"].T}
    cell.load_state_dict({**weights, "bias_ih": own["gates.bias"], "bias_hh": bias})
    return cell


def stepped(cell: nn.GRUCell | nn.LSTMCell, x: Tensor, memory: Tensor) -> Tensor:
    """Return torch's next memory, h or [h, c]."""
    return cell(x, memory) if isinstance(cell, nn.GRUCell) else torch.cat(cell(x, memory.chunk(2, -1)), -1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("make", "size"), [(gru, UNITS), (lstm, 2 * UNITS)])
def test_a_step_is_torchs_cell(make: Make, size: int, dtype: torch.dtype) -> None:
    network = make(inputs=4)
    own = parameters_of(network, dtype)
    x, memory = drawn(ROWS, 4, dtype=dtype), drawn(ROWS, size, dtype=dtype, seed=1)
    found = network.advance(own, network.encode(own, x), memory)
    outputs = network.decode(own, found)
    assert network.memory_size == size
    assert outputs.shape == (ROWS, 2)
    expected = stepped(cell_of(network, own, 4), x, memory)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(outputs, expected[:, :UNITS] @ own["output.weight"] + own["output.bias"])


@pytest.mark.parametrize("make", [gru, lstm])
@pytest.mark.parametrize(("name", "activation"), [("relu", torch.relu), ("tanh", torch.tanh)])
def test_hidden_layers_precede_the_cell(make: Make, name: str, activation: Callable[[Tensor], Tensor]) -> None:
    network = make(inputs=4, widths=[6, 5], activation=name)
    own, x = parameters_of(network), drawn(ROWS, 4)
    memory = drawn(ROWS, network.memory_size, seed=1)
    found = network.advance(own, network.encode(own, x), memory)
    h = activation(x @ own["0.weight"] + own["0.bias"])
    h = activation(h @ own["1.weight"] + own["1.bias"])
    torch.testing.assert_close(found, stepped(cell_of(network, own, 5), h, memory))


def test_a_gru_by_hand() -> None:
    """One unit, all weights 0: r = z = 1/2 because biases cancel, so h' = h / 2 + tanh(b_n + c_n / 2) / 2."""
    network = gru(inputs=1, outputs=1, units=1)
    parameters = {name: torch.zeros_like(tensor) for name, tensor in parameters_of(network).items()}
    parameters["gates.bias"] += torch.tensor([1.0, 2.0, 0.25])
    parameters["recurrent.bias"] += torch.tensor([-1.0, -2.0, 0.5])
    memory = torch.tensor([[0.5]], dtype=torch.float64)
    found = network.advance(parameters, network.encode(parameters, torch.ones_like(memory)), memory)
    assert found.item() == pytest.approx(0.25 + 0.23105857863000487)  # tanh(.5) / 2


def test_an_lstm_with_saturated_gates_keeps_adds_or_drops() -> None:
    """Gates at sigmoid(+-40): cells add 1 per step, keep or forget their value, and show or hide tanh(c)."""
    network = lstm(inputs=1, outputs=1, units=3)
    parameters = {name: torch.zeros_like(tensor) for name, tensor in parameters_of(network).items()}
    gates = [[40.0, -40.0, 40.0], [40.0, 40.0, -40.0], [40.0, 40.0, 40.0], [40.0, 40.0, -40.0]]  # i, f, g, o
    parameters["gates.bias"] += torch.tensor(gates).flatten()
    memory = torch.tensor([[0.0, 0.0, 0.0, 0.5, 0.5, 0.5]], dtype=torch.float64)
    found = network.advance(parameters, network.encode(parameters, torch.ones(1, 1, dtype=torch.float64)), memory)
    # c: kept and added to, kept alone, added to alone; h: shown, shown, hidden.
    shown = [0.9051482536448664, 0.46211715726000973, 0.0]  # tanh(1.5), tanh(.5)
    assert found.flatten().tolist() == pytest.approx([*shown, 1.5, 0.5, 1.0], abs=1e-12)


@pytest.mark.parametrize("make", [gru, lstm])
def test_gradients_are_right_and_inputs_are_not_changed(make: Make) -> None:
    network = make(inputs=2, widths=[2], units=2)
    parameters, x = parameters_of(network), drawn(2, 2)
    memory = drawn(2, network.memory_size, seed=1).requires_grad_()
    before = x.clone(), memory.detach().clone()
    keys = [*parameters]

    def outputs(memory: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        own = dict(zip(keys, tensors, strict=True))
        after = network.advance(own, network.encode(own, x), memory)
        return after, network.decode(own, after)

    assert torch.autograd.gradcheck(outputs, [memory, *(tensor.requires_grad_() for tensor in parameters.values())])
    assert torch.equal(x, before[0])
    assert torch.equal(memory, before[1])


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (gru, {"gates.weight": (5, 9), "gates.bias": (9,), "recurrent.weight": (3, 9), "recurrent.bias": (9,)}),
        (lstm, {"gates.weight": (5, 12), "gates.bias": (12,), "recurrent.weight": (3, 12)}),
    ],
)
def test_initial_shapes_and_precision(make: Make, shapes: dict[str, tuple[int, ...]]) -> None:
    found = make(inputs=4, widths=[5]).initial(streams(0))
    around = {"0.weight": (4, 5), "0.bias": (5,), "output.weight": (3, 2), "output.bias": (2,)}
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == around | shapes
    assert {tensor.dtype for tensor in found.values()} == {torch.float64}


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
def test_gradients_stay_within_their_episode(make: Make) -> None:
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
