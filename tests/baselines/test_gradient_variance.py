"""Variance of one episode's gradient with a constant baseline: ``Var(b) = Var(b*) + E|S|^2 (b - b*)^2``."""

import numpy as np
import pytest

from pgexp.algorithms.advantages import AdvantageEstimator
from pgexp.baselines.constant import Constant
from pgexp.baselines.optimal_constant import OptimalConstant
from pgexp.functional.arrays import Floats
from tests.baselines.enumeration import EPISODES, exact_gradient, per_episode_gradients, probability, step_scores
from tests.episodes import batch_of, estimate, estimator, returns_of

REWARD_TO_GO, TOTAL_RETURN = estimator(), estimator(return_type="total_return")
PROBABILITIES = np.array([probability(episode) for episode in EPISODES])


def moments(value: float) -> tuple[Floats, float]:
    """Return the mean and the variance, summed over components, of one episode's gradient."""
    batches = [batch_of(episode) for episode in EPISODES]
    estimates = [estimate(TOTAL_RETURN, Constant(value), batch) for batch in batches]
    gradients = np.array([found.weights @ step_scores(found.batch) for found in estimates])
    mean = PROBABILITIES @ gradients
    return mean, float(PROBABILITIES @ np.square(gradients - mean).sum(1))


def best_constant(how: AdvantageEstimator) -> tuple[float, float]:
    """Return ``b* = E<U, S> / E|S|^2`` over all episodes, and ``E|S|^2``."""
    batch = batch_of(*EPISODES)
    plain = per_episode_gradients(batch, np.ones(batch.steps))
    weighed = per_episode_gradients(batch, returns_of(how, batch).per_step)
    squares = float(PROBABILITIES @ np.square(plain).sum(1))
    return float(PROBABILITIES @ (plain * weighed).sum(1)) / squares, squares


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.4, 1.0, 5.0])
def test_it_is_quadratic_in_the_distance_from_the_best_constant(value: float) -> None:
    best, squares = best_constant(TOTAL_RETURN)
    least, found = moments(best)[1], moments(value)[1]
    assert found == pytest.approx(least + squares * (value - best) ** 2, rel=1e-12)
    np.testing.assert_allclose(moments(value)[0], exact_gradient(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("how", [REWARD_TO_GO, TOTAL_RETURN])
def test_the_optimal_constant_of_a_typical_batch_is_the_best(how: AdvantageEstimator) -> None:
    typical = [EPISODES[0]] * 2 + [EPISODES[1]] + [EPISODES[2]] * 2  # 2/5, 1/5 and 2/5 are their probabilities
    for one in EPISODES:
        found = estimate(how, OptimalConstant(per_episode_gradients), batch_of(one, *typical)).values[0]
        assert found == pytest.approx(best_constant(how)[0], rel=1e-12)
