"""Variance of one episode's gradient with a constant baseline: ``Var(b) = Var(b*) + E|S|^2 (b - b*)^2``."""

import numpy as np
import pytest

from pgexp.baselines.constant import Constant
from pgexp.baselines.optimal_constant import OptimalConstant
from pgexp.functional.arrays import Floats
from pgexp.learning.estimator import Estimator
from tests.baselines.enumeration import EPISODES, episode_scores, exact_gradient, probability, step_scores
from tests.episodes import batch_of, credit_of, estimate, estimator

REWARD_TO_GO, TOTAL_RETURN = estimator(), estimator(credit="total_return")
PROBABILITIES = np.array([probability(episode) for episode in EPISODES])


def moments(value: float) -> tuple[Floats, float]:
    """Return the mean and the variance, summed over components, of one episode's gradient."""
    batches = [batch_of(episode) for episode in EPISODES]
    estimates = [estimate(TOTAL_RETURN, Constant(value), batch) for batch in batches]
    gradients = np.array([found.weights @ step_scores(found.batch) for found in estimates])
    mean = PROBABILITIES @ gradients
    return mean, float(PROBABILITIES @ np.square(gradients - mean).sum(1))


def best_constant(how: Estimator) -> tuple[float, float]:
    """Return ``b* = E<U, S> / E|S|^2`` over all episodes, and ``E|S|^2``."""
    batch = batch_of(*EPISODES)
    plain = episode_scores(batch, np.ones(batch.steps))
    weighed = episode_scores(batch, credit_of(how, batch).of_steps)
    squares = float(PROBABILITIES @ np.square(plain).sum(1))
    return float(PROBABILITIES @ (plain * weighed).sum(1)) / squares, squares


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.4, 1.0, 5.0])
def test_it_grows_quadratically_with_the_distance_from_the_best_constant(value: float) -> None:
    best, squares = best_constant(TOTAL_RETURN)
    least, found = moments(best)[1], moments(value)[1]
    assert found == pytest.approx(least + squares * (value - best) ** 2, rel=1e-12)
    np.testing.assert_allclose(moments(value)[0], exact_gradient(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("how", [REWARD_TO_GO, TOTAL_RETURN])
def test_the_optimal_constant_of_a_representative_batch_is_the_best(how: Estimator) -> None:
    typical = [EPISODES[0]] * 2 + [EPISODES[1]] + [EPISODES[2]] * 2  # 2/5, 1/5 and 2/5 are their probabilities
    for one in EPISODES:
        found = estimate(how, OptimalConstant(episode_scores), batch_of(one, *typical)).values[0]
        assert found == pytest.approx(best_constant(how)[0], rel=1e-12)
