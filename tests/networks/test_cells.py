"""Steps of recurrent networks compared with torch's cells."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters, streams
from tests.networks.built import drawn, gru, lstm, parameters_of

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
