"""The value network: used before it is fitted, fitted by least squares, and apart from the policy."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.baselines.baseline import Predictor
from pgexp.baselines.value import ValueNetwork
from pgexp.functional.batch import Batch, Credit
from pgexp.networks.linear import Linear
from pgexp.networks.mlp import MLP
from pgexp.networks.parameters import streams
from pgexp.schema import names
from tests.batches import Stub, ascended, reinforce, student_of
from tests.episodes import Episode, batch_of

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
        "fit_steps": 1,
    }
    arguments = {**settings, **changed}
    arguments["network"] = partial(_built, arguments["network"])
    return ValueNetwork(**arguments)


def _built(make: Any, inputs: int, outputs: int, shape: tuple[int, ...]) -> Any:
    return make(inputs, outputs)


def regression(observations: np.ndarray, targets: np.ndarray) -> tuple[Batch, Credit]:
    """Return a batch of one-step episodes, each with its target for its credit."""
    batch = batch_of(*(Episode([row], [0], [target]) for row, target in zip(observations, targets, strict=True)))
    return batch, Credit(targets, batch.lengths, targets, batch.lengths)


def grid() -> np.ndarray:
    return np.array([[x, y] for x in np.linspace(-1, 1, 6) for y in np.linspace(-1, 1, 6)])


def predicted(network: ValueNetwork, observations: np.ndarray) -> np.ndarray:
    """Return what it predicts at observations that end an episode each."""
    batch = batch_of(*(Episode([[0.0, 0.0]], [0], [0.0]) for _ in observations))
    return network.predict(replace(batch, observations=observations, final=observations)).final


def error(network: ValueNetwork, observations: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(predicted(network, observations) - targets).max())


@pytest.mark.parametrize("seed", [0, 1])
def test_it_values_each_step_at_its_observation_and_begins_on_a_stream_of_its_own(seed: int) -> None:
    network = value_network(seed=seed)
    batch, credit = regression(grid(), np.zeros(36))
    initial = LINEAR(2, 1).initial(streams(seed, "init", "value"))
    expected = (grid() @ initial["0.weight"].numpy() + initial["0.bias"].numpy())[:, 0]
    np.testing.assert_allclose(network.values(batch, credit), expected, rtol=1e-12)
    np.testing.assert_allclose(predicted(network, grid()), expected, rtol=1e-12)


def test_a_linear_one_finds_a_linear_function_also_where_it_was_not_seen() -> None:
    network = value_network(fit_steps=500)
    network.update(*regression(grid(), 3 * grid()[:, 0] - 2 * grid()[:, 1] + 1))
    unseen = np.array([[10.0, 0.0], [0.0, 10.0]])
    assert error(network, grid(), 3 * grid()[:, 0] - 2 * grid()[:, 1] + 1) < 1e-3
    assert predicted(network, unseen) == pytest.approx([31.0, -19.0], abs=0.01)


def test_a_wider_one_finds_a_function_that_is_not_linear() -> None:
    targets = np.sin(3 * grid()[:, 0]) - grid()[:, 1]
    network = value_network(network=MLP_32, fit_steps=500, lr=0.02)
    assert error(network, grid(), targets) > 0.5
    network.update(*regression(grid(), targets))
    assert error(network, grid(), targets) < 0.1


def test_it_takes_as_many_steps_of_adam_as_it_is_told() -> None:
    # Adam's first steps are of length lr in each parameter while the gradient keeps its sign.
    for steps in (1, 3):
        network = value_network(lr=0.01, fit_steps=steps)
        before = predicted(network, np.zeros((1, 2)))
        network.update(*regression(grid(), np.full(36, 100.0)))
        assert predicted(network, np.zeros((1, 2))) - before == pytest.approx([0.01 * steps], rel=1e-3)


def test_its_metrics_are_from_before_the_fit() -> None:
    network = value_network(fit_steps=50)
    targets = 3 * grid()[:, 0]
    residuals = targets - predicted(network, grid())
    told = network.update(*regression(grid(), targets))
    assert told == {names.VALUE_LOSS: pytest.approx((residuals**2).mean())}


BATCH = batch_of(Episode([[1, 0], [0, 1]], [0, 1], [1, 2]), Episode([[1, 1]], [1], [5]))


def test_a_batch_is_valued_before_it_is_fitted() -> None:
    fitted, stub, weight = value_network(fit_steps=100, lr=0.5), Stub(), np.zeros((2, 2))
    before = fitted.predict(BATCH)
    stub.predict = lambda batch: before
    expected = ascended(reinforce(), student_of(weight, stub), BATCH)
    assert np.array_equal(ascended(reinforce(), student_of(weight, fitted), BATCH), expected)
    assert np.abs(fitted.predict(BATCH).of_steps - before.of_steps).max() > 1


def test_its_fit_does_not_reach_the_policy_nor_the_policys_gradient_it() -> None:
    network = value_network(fit_steps=100)
    student = student_of(np.zeros((2, 2)), network)
    network.update(*regression(grid(), grid()[:, 0]))
    assert student.parameters["0.weight"].grad is None
    fitted = predicted(network, grid())
    network.update = lambda batch, credit: {}
    assert np.abs(ascended(reinforce(), student, BATCH)).max() > 0.1
    assert np.array_equal(predicted(network, grid()), fitted)


@pytest.mark.parametrize(("dtype", "name"), [(torch.float32, "float32"), (torch.float64, "float64")])
def test_it_takes_the_runs_precision_and_hands_on_doubles(dtype: torch.dtype, name: str) -> None:
    assert predicted(value_network(dtype=dtype), grid().astype(name)).dtype == np.float64


def test_it_predicts() -> None:
    assert isinstance(value_network(), Predictor)
