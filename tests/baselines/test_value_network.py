"""Value network: predictions, least-squares fit, and separation from the policy."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.baselines.baseline import Predictor
from pgexp.baselines.value import ValueNetwork
from pgexp.functional.batch import Batch, Returns
from pgexp.networks.feedforward import MLP, Linear
from pgexp.networks.network import streams
from pgexp.networks.recurrent import GRU
from pgexp.schema import names
from tests.episodes import Episode, batch_of
from tests.softmax_runs import Stub, reinforce, train_state, weight_change

LINEAR = partial(Linear, bias=True, initialization="pytorch", gain=1.0)
MLP_32 = partial(
    MLP,
    widths=[32],
    activation="tanh",
    layer_norm=False,
    initialization="orthogonal",
    hidden_gain=1.0,
    output_gain=1.0,
)


def value_network(**changed: Any) -> ValueNetwork:
    settings = {
        "inputs": 2,
        "shape": (2,),
        "seed": 0,
        "dtype": torch.float64,
        "network": LINEAR,
        "lr": 0.05,
        "value_updates": 1,
    }
    arguments = {**settings, **changed}
    arguments["network"] = partial(_built, arguments["network"])
    return ValueNetwork(**arguments)


def _built(make: Any, inputs: int, outputs: int, shape: tuple[int, ...]) -> Any:
    return make(inputs, outputs)


def regression(observations: np.ndarray, targets: np.ndarray) -> tuple[Batch, Returns]:
    """Return a batch of one-step episodes with the targets as returns."""
    batch = batch_of(*(Episode([row], [0], [target]) for row, target in zip(observations, targets, strict=True)))
    return batch, Returns(targets, batch.lengths, targets, batch.lengths)


def grid() -> np.ndarray:
    return np.array([[x, y] for x in np.linspace(-1, 1, 6) for y in np.linspace(-1, 1, 6)])


def predicted(network: ValueNetwork, observations: np.ndarray) -> np.ndarray:
    """Return the predictions at final observations."""
    batch = batch_of(*(Episode([[0.0, 0.0]], [0], [0.0]) for _ in observations))
    return network.predict(replace(batch, observations=observations, final=observations)).final


def error(network: ValueNetwork, observations: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(predicted(network, observations) - targets).max())


@pytest.mark.parametrize("seed", [0, 1])
def test_it_has_its_own_initial_stream(seed: int) -> None:
    network = value_network(seed=seed)
    batch, returns = regression(grid(), np.zeros(36))
    initial = LINEAR(2, 1).initial(streams(seed, "init", "value"))
    expected = (grid() @ initial["0.weight"].numpy() + initial["0.bias"].numpy())[:, 0]
    np.testing.assert_allclose(network.values(batch, returns), expected, rtol=1e-12)
    np.testing.assert_allclose(predicted(network, grid()), expected, rtol=1e-12)


def test_a_linear_network_extrapolates_a_linear_function() -> None:
    network = value_network(value_updates=500)
    network.update(*regression(grid(), 3 * grid()[:, 0] - 2 * grid()[:, 1] + 1))
    unseen = np.array([[10.0, 0.0], [0.0, 10.0]])
    assert error(network, grid(), 3 * grid()[:, 0] - 2 * grid()[:, 1] + 1) < 1e-3
    assert predicted(network, unseen) == pytest.approx([31.0, -19.0], abs=0.01)


def test_an_mlp_finds_a_nonlinear_function() -> None:
    targets = np.sin(3 * grid()[:, 0]) - grid()[:, 1]
    network = value_network(network=MLP_32, value_updates=200, lr=0.05)
    assert error(network, grid(), targets) > 0.5
    network.update(*regression(grid(), targets))
    assert error(network, grid(), targets) < 0.1


def test_the_number_of_adam_steps() -> None:
    # Adam's first steps are of length lr in each parameter while the gradient keeps its sign.
    for steps in (1, 3):
        network = value_network(lr=0.01, value_updates=steps)
        before = predicted(network, np.zeros((1, 2)))
        network.update(*regression(grid(), np.full(36, 100.0)))
        assert predicted(network, np.zeros((1, 2))) - before == pytest.approx([0.01 * steps], rel=1e-3)


@pytest.mark.parametrize("updates", [1, 3])
def test_the_fit_does_not_depend_on_what_was_predicted_before(updates: int) -> None:
    batch, returns = regression(grid(), 3 * grid()[:, 0])
    other = regression(grid() + 1, np.ones(36))[0]
    fitted = []
    for seen in ((), (batch,), (batch, other), (other, batch)):
        network = value_network(value_updates=updates)
        for each in seen:
            network.predict(each)
        network.update(batch, returns)
        network.update(batch, returns)
        fitted.append(predicted(network, grid()))
    for values in fitted[1:]:
        np.testing.assert_array_equal(values, fitted[0])


def test_its_metrics_are_from_before_the_fit() -> None:
    network = value_network(value_updates=50)
    targets = 3 * grid()[:, 0]
    residuals = targets - predicted(network, grid())
    metrics = network.update(*regression(grid(), targets))
    assert metrics == {names.VALUE_LOSS: pytest.approx((residuals**2).mean())}


BATCH = batch_of(Episode([[1, 0], [0, 1]], [0, 1], [1, 2]), Episode([[1, 1]], [1], [5]))


def test_a_batch_is_used_before_the_fit() -> None:
    fitted, stub, weight = value_network(value_updates=100, lr=0.5), Stub(), np.zeros((2, 2))
    before = fitted.predict(BATCH)
    stub.predict = lambda batch: before
    expected = weight_change(reinforce(), train_state(weight, stub), BATCH)
    assert np.array_equal(weight_change(reinforce(), train_state(weight, fitted), BATCH), expected)
    assert np.abs(fitted.predict(BATCH).per_step - before.per_step).max() > 1


def test_value_network_and_policy_do_not_change_each_other() -> None:
    network = value_network(value_updates=100)
    state = train_state(np.zeros((2, 2)), network)
    network.update(*regression(grid(), grid()[:, 0]))
    assert state.parameters["0.weight"].grad is None
    fitted = predicted(network, grid())
    network.update = lambda batch, returns: {}
    assert np.abs(weight_change(reinforce(), state, BATCH)).max() > 0.1
    assert np.array_equal(predicted(network, grid()), fitted)


@pytest.mark.parametrize(("dtype", "name"), [(torch.float32, "float32"), (torch.float64, "float64")])
def test_it_has_the_runs_precision_and_predicts_in_float64(dtype: torch.dtype, name: str) -> None:
    assert predicted(value_network(dtype=dtype), grid().astype(name)).dtype == np.float64


def test_it_is_a_predictor() -> None:
    assert isinstance(value_network(), Predictor)


def test_a_network_with_a_memory_is_refused() -> None:
    recurrent = partial(
        GRU, widths=[], activation="tanh", units=3, initialization="pytorch", hidden_gain=1.0, output_gain=1.0
    )
    with pytest.raises(ValueError, match=r"GRU has a memory, .*: set baseline=shared_value"):
        value_network(network=recurrent)
