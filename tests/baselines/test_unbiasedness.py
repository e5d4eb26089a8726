"""What a baseline does to the gradient in expectation: over every batch there can be, each weighed by its probability.

Nothing is sampled. The environment has three episodes. First it sees A: action 1 pays 1 and ends it; action 0 pays
nothing and leads to B, where action 0 pays -1 and action 1 pays 2. So lengths differ, and with them how many steps an
average is over.
"""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from pgexp.baselines.baseline import Baseline
from pgexp.baselines.leave_one_out import LeaveOneOut
from pgexp.baselines.mean import BatchMean
from pgexp.baselines.none import NoBaseline
from pgexp.baselines.value import ValueNetwork
from pgexp.functional.arrays import Floats
from pgexp.learning.reinforce import Reinforce
from pgexp.networks.linear import Linear
from tests.batches import Episode, ascended, batch_of, probabilities, reinforce, student_of

A, B = [1.0, 0.0], [0.0, 1.0]
EPISODES = (
    Episode([A], [1], [1]),
    Episode([A, B], [0, 0], [0, -1]),
    Episode([A, B], [0, 1], [0, 2]),
)
WEIGHT = np.array([[0.2, -0.3], [-0.1, 0.5]])  # rows: the logits at A and at B

MakeBaseline = Callable[[], Baseline]


def probability(episode: Episode) -> float:
    chosen = probabilities(WEIGHT, np.array(episode.observations))[range(len(episode.actions)), episode.actions]
    return float(np.prod(chosen))


def expected_gradient(algorithm: Reinforce, make: MakeBaseline, count: int) -> Floats:
    """Return the mean of the update's gradient over all batches of so many episodes; each meets a fresh baseline."""
    return sum(
        np.prod([probability(episode) for episode in batch])
        * ascended(algorithm, student_of(WEIGHT, make()), batch_of(*batch))
        for batch in itertools.product(EPISODES, repeat=count)
    )


def exact_gradient(gamma: float = 1.0) -> Floats:
    """Return the gradient of ``J = p_A(1) + p_A(0) gamma (2 p_B(1) - p_B(0))``, by torch."""
    weight = torch.tensor(WEIGHT, requires_grad=True)
    at_a, at_b = torch.softmax(weight, 1)
    (at_a[1] + at_a[0] * gamma * (2 * at_b[1] - at_b[0])).backward()
    return weight.grad.numpy()


def value_network() -> ValueNetwork:
    linear = partial(Linear, bias=True, initialization="pytorch", gain=3.0)
    return ValueNetwork(inputs=2, seed=0, dtype=torch.float64, network=linear, lr=0.5, fit_steps=3)


def assert_equal(found: Floats, expected: Floats) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


REWARD_TO_GO, TOTAL_RETURN = reinforce(), reinforce(credit="total_return")


def test_the_probabilities_of_all_episodes_are_one() -> None:
    assert sum(map(probability, EPISODES)) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("make", [NoBaseline, LeaveOneOut, value_network])
@pytest.mark.parametrize("algorithm", [REWARD_TO_GO, TOTAL_RETURN])
def test_unbiased_baselines_leave_the_exact_gradient(algorithm: Reinforce, make: MakeBaseline, count: int) -> None:
    assert not make().biased
    assert_equal(expected_gradient(algorithm, make, count), exact_gradient())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_mean_total_return_scales_the_gradient_by_1_minus_1_over_k(count: int) -> None:
    assert_equal(expected_gradient(TOTAL_RETURN, BatchMean, count), (1 - 1 / count) * exact_gradient())


@pytest.mark.parametrize("count", [2, 3])
def test_the_mean_return_to_go_is_biased_and_scales_no_two_states_alike(count: int) -> None:
    assert BatchMean.biased
    at_a, at_b = expected_gradient(REWARD_TO_GO, BatchMean, count) / exact_gradient()
    assert np.abs(at_a - at_b).min() > 0.05


@pytest.mark.parametrize("make", [NoBaseline, LeaveOneOut, value_network])
def test_with_a_discount_the_gradient_is_exact_where_gamma_to_the_t_is_kept(make: MakeBaseline) -> None:
    kept, dropped = (reinforce(gamma=0.7, discount_states=keep) for keep in (True, False))
    assert_equal(expected_gradient(kept, make, 2), exact_gradient(gamma=0.7))
    assert np.abs(expected_gradient(dropped, make, 2) - exact_gradient(gamma=0.7)).max() > 0.01


def test_dividing_by_the_deviation_is_a_biased_choice() -> None:
    scaled = expected_gradient(reinforce(advantage_scale="std"), LeaveOneOut, 2)
    assert np.abs(scaled - exact_gradient()).max() > 0.01
