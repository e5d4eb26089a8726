"""Compiled forward passes compared with the same policies in torch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pgexp.algorithms.policy import ObservationNormalizer, Policy
from pgexp.functional.batch import Batch
from pgexp.functional.normalization import Moments
from pgexp.functional.spaces import ActionSpace
from pgexp.kernels import signatures
from pgexp.kernels.compilation import compiled
from pgexp.kernels.forward import forward
from pgexp.kernels.layout import layout_of, scratch_size
from pgexp.networks.feedforward import MLP, Linear
from pgexp.networks.heads.discrete import CategoricalHead
from pgexp.networks.network import Network, Parameters, ParameterVector, RecurrentNetwork
from pgexp.networks.recurrent import GRU, LSTM
from pgexp.networks.torch_module import network_of

Array = NDArray[np.float32] | NDArray[np.float64]
Make = Callable[[int, int], Network | RecurrentNetwork]

SHARED = {"initialization": "pytorch", "hidden_gain": 1.5, "output_gain": 1.0}
INPUTS, OUTPUTS = 5, 3
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
"""Largest difference from torch, relative to the largest output."""


def mlp(widths: list[int], activation: str, layer_norm: bool = False) -> Make:
    return lambda inputs, outputs: MLP(inputs, outputs, widths, activation, layer_norm, **SHARED)


def linear(bias: bool) -> Make:
    return lambda inputs, outputs: Linear(inputs, outputs, bias, "pytorch", 1.0)


def recurrent(kind: type[GRU] | type[LSTM], widths: list[int], units: int) -> Make:
    return lambda inputs, outputs: kind(inputs, outputs, widths, "tanh", units, **SHARED)


def sequential(inputs: int, outputs: int) -> Network:
    return network_of(lambda: nn.Sequential(nn.Linear(inputs, 7), nn.Tanh(), nn.Linear(7, outputs, bias=False)))


FEED_FORWARD: dict[str, Make] = {
    "linear": linear(bias=True),
    "linear without bias": linear(bias=False),
    "relu": mlp([8, 6], "relu"),
    "tanh": mlp([8, 6], "tanh"),
    "leaky_relu": mlp([8, 6], "leaky_relu"),
    "no hidden layer": mlp([], "relu"),
    "one unit": mlp([1], "tanh"),
    "wide": mlp([64, 33], "relu"),
    "odd widths": mlp([17, 40, 9], "tanh"),
    "layer_norm relu": mlp([8, 6], "relu", layer_norm=True),
    "layer_norm tanh": mlp([33], "tanh", layer_norm=True),
    "layer_norm leaky_relu": mlp([8, 6], "leaky_relu", layer_norm=True),
    "sequential": sequential,
}
RECURRENT: dict[str, Make] = {
    "gru": recurrent(GRU, [], 4),
    "gru after layers": recurrent(GRU, [7, 6], 3),
    "gru of one unit": recurrent(GRU, [], 1),
    "lstm": recurrent(LSTM, [], 4),
    "lstm after layers": recurrent(LSTM, [7, 6], 3),
    "lstm of one unit": recurrent(LSTM, [], 1),
}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@dataclass(frozen=True)
class Case:
    """A policy, its parameters, and its compiled forward pass."""

    policy: Policy
    parameters: Parameters

    def __call__(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """Return outputs [L, P] and the next memory [L, Z]. x: [L, O], memory: [L, Z]."""
        layers = self.policy.layers()
        assert layers is not None
        stored = ParameterVector.of(self.parameters)
        layout = layout_of(layers, stored.offsets)
        real = signatures.f4 if x.dtype == np.float32 else signatures.f8
        scratch = np.full(scratch_size(layout, len(x)), np.nan, x.dtype)
        outputs = np.full((len(x), self.policy.outputs), np.nan, x.dtype)
        memory = memory.copy()
        compiled(forward, signatures.forward(real))(stored.vector.numpy(), layout, x.copy(), memory, scratch, outputs)
        return outputs, memory


def case_of(
    make: Make, dtype: torch.dtype, normalised: bool = False, limit: float | None = None, seed: int = 0
) -> Case:
    """Return a policy whose outputs are the logits. All its parameters differ from zero."""
    head = CategoricalHead(ActionSpace("discrete", 1, counts=(OUTPUTS,)))
    normalizer = ObservationNormalizer(dtype, INPUTS if normalised else None, limit)
    policy = Policy(normalizer, make(INPUTS, OUTPUTS), head)
    generator = torch.Generator().manual_seed(seed)
    parameters = {
        name: tensor + 0.3 * torch.randn(tensor.shape, generator=generator, dtype=dtype)
        for name, tensor in policy.initial(seed).items()
    }
    draws = np.random.default_rng(seed)
    moments = Moments(10, draws.normal(size=INPUTS), draws.uniform(0.1, 4.0, INPUTS))
    return Case(policy, parameters | normalizer.statistics(moments))


def drawn(*shape: int, dtype: torch.dtype, seed: int = 0) -> Array:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).numpy()


def batch_of(observations: Array, lengths: list[int], memory: Array) -> Batch:
    """Return a batch of terminated episodes."""
    episodes, steps = len(lengths), len(observations)
    return Batch(
        observations=observations,
        actions=np.zeros(steps, np.int64),
        rewards=np.zeros(steps),
        lengths=np.array(lengths),
        first=np.zeros(episodes, np.int64),
        terminated=np.ones(episodes, bool),
        truncated=np.zeros(episodes, bool),
        final=np.zeros((episodes, observations.shape[1]), observations.dtype),
        returns=np.zeros(episodes),
        environments=np.arange(episodes),
        numbers=np.zeros(episodes, np.int64),
        memory=memory,
    )


def outputs_in_torch(case: Case, batch: Batch) -> Array:
    """Return the outputs that learning reads, [S, P]."""
    seen = case.policy.normalizer.normalize_batch(case.parameters, batch)
    return case.policy.forward(case.parameters, seen).parameters.detach().numpy()


def assert_near(found: Array, expected: Array, dtype: torch.dtype) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(expected).max())


@DTYPES
@pytest.mark.parametrize("make", FEED_FORWARD.values(), ids=FEED_FORWARD)
def test_networks_equal_torch(make: Make, dtype: torch.dtype) -> None:
    for rows in (1, 6):
        case, x = case_of(make, dtype), drawn(rows, INPUTS, dtype=dtype)
        memory = np.zeros((rows, 0), x.dtype)
        found, _ = case(x, memory)
        assert_near(found, outputs_in_torch(case, batch_of(x, [1] * rows, memory)), dtype)


@DTYPES
@pytest.mark.parametrize("limit", [None, 0.7])
@pytest.mark.parametrize("make", [linear(bias=True), mlp([8], "tanh"), recurrent(GRU, [], 3)])
def test_normalised_observations_equal_torch(make: Make, limit: float | None, dtype: torch.dtype) -> None:
    case, x = case_of(make, dtype, normalised=True, limit=limit), drawn(6, INPUTS, dtype=dtype)
    memory = drawn(6, case.policy.memory_size, dtype=dtype, seed=1)
    expected = outputs_in_torch(case, batch_of(x, [1] * 6, memory))
    found, _ = case(x, memory)
    assert_near(found, expected, dtype)
    plain = outputs_in_torch(case_of(make, dtype), batch_of(x, [1] * 6, memory))
    assert np.abs(expected - plain).max() > 0.01  # normalisation has an effect


@DTYPES
def test_normalisation_clips_bit_for_bit_as_torch(dtype: torch.dtype) -> None:
    """The network is the identity, so the outputs are the normalised observations."""
    case = case_of(lambda inputs, outputs: Linear(inputs, outputs, False, "zeros", 1.0), dtype, True, 0.5)
    case.parameters["0.weight"] = torch.eye(INPUTS, OUTPUTS, dtype=dtype)
    x = 3 * drawn(50, INPUTS, dtype=dtype)
    found, _ = case(x, np.zeros((50, 0), x.dtype))
    expected = case.policy.normalizer.normalize(case.parameters, torch.from_numpy(x)).numpy()[:, :OUTPUTS]
    assert np.array_equal(found, expected)
    assert {-0.5, 0.5} < {*found.ravel().tolist()}


@DTYPES
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT)
def test_recurrent_networks_equal_torch_over_several_steps(make: Make, normalised: bool, dtype: torch.dtype) -> None:
    steps, episodes = 7, 5
    case, x = case_of(make, dtype, normalised), drawn(episodes, steps, INPUTS, dtype=dtype)
    start = drawn(episodes, case.policy.memory_size, dtype=dtype, seed=1)
    batch = batch_of(x.reshape(-1, INPUTS), [steps] * episodes, start)
    expected = outputs_in_torch(case, batch).reshape(episodes, steps, OUTPUTS)
    seen = case.policy.normalizer.normalize_batch(case.parameters, batch)
    last = case.policy.forward(case.parameters, seen).memory.detach().numpy()
    memory = start
    for step in range(steps):
        found, memory = case(x[:, step], memory)
        assert_near(found, expected[:, step], dtype)
    assert_near(memory, last, dtype)
    assert np.abs(memory - start).max() > 0.1


ROWS = (1, 2, 3, 4, 5, 7, 16)
ALL = 19


@DTYPES
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("make", (FEED_FORWARD | RECURRENT).values(), ids=FEED_FORWARD | RECURRENT)
def test_a_row_does_not_depend_on_how_many_rows_act(make: Make, normalised: bool, dtype: torch.dtype) -> None:
    case, x = case_of(make, dtype, normalised), drawn(ALL, INPUTS, dtype=dtype)
    memory = drawn(ALL, case.policy.memory_size, dtype=dtype, seed=1)
    among, next_memory = case(x, memory)
    for count in ROWS:
        for first in (0, 1, ALL - count):
            rows = slice(first, first + count)
            found, after = case(x[rows], memory[rows])
            assert found.tobytes() == among[rows].tobytes(), (count, first)
            assert after.tobytes() == next_memory[rows].tobytes(), (count, first)


@DTYPES
@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_nan_reaches_the_outputs(activation: str, layer_norm: bool, dtype: torch.dtype) -> None:
    """Acting stops at outputs that are not finite, so no activation may hide them."""
    case = case_of(mlp([8, 6], activation, layer_norm), dtype)
    case.parameters["0.weight"][0, 0] = float("nan")
    found, _ = case(drawn(3, INPUTS, dtype=dtype), np.zeros((3, 0), str(dtype).removeprefix("torch.")))
    assert np.isnan(found).all()


def test_parameters_of_any_offset_are_read() -> None:
    """Zeros lie between the tensors of a vector; none of them may be read as a parameter."""
    case = case_of(mlp([3, 2], "tanh"), torch.float64)
    stored = ParameterVector.of(case.parameters)
    used = {
        position
        for name, tensor in case.parameters.items()
        for position in range(stored.offsets[name], stored.offsets[name] + tensor.numel())
    }
    unused = [position for position in range(len(stored.vector)) if position not in used]
    assert unused
    layers = case.policy.layers()
    assert layers is not None
    layout = layout_of(layers, stored.offsets)
    x, outputs = drawn(5, INPUTS, dtype=torch.float64), []
    for filling in (0.0, float("nan")):
        vector = stored.vector.clone().numpy()
        vector[unused] = filling
        result = np.empty((5, OUTPUTS))
        arguments = (vector, layout, x, np.zeros((5, 0)), np.empty(scratch_size(layout, 5)), result)
        compiled(forward, signatures.forward(signatures.f8))(*arguments)
        outputs.append(result)
    assert np.array_equal(*outputs)
    assert np.isfinite(outputs[0]).all()
