"""Exact gradients of the problems against textbooks and finite differences."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax
from scipy.stats import norm

from tests.exactness.problems import Array, Problem, Tabular, bandit, corridor, play, regulator, three_states

PROBLEMS = {"mdp": three_states(), "corridor": corridor(0.2), "bandit": bandit(), "regulator": regulator()}
EACH = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


def slope(log_prob: Callable[..., Any], theta: Array, *rest: float) -> Array:
    return approx_fprime(theta, log_prob, 1e-7, *rest)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
@EACH
def test_the_gradient_is_the_returns_slope(problem: Problem, gamma: float) -> None:
    expected = slope(problem.expected_return, problem.theta, gamma)
    assert problem.exact_gradient(gamma) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("right", "expected"), [(0.05, 75.895), (0.2, 15.5), (0.5, 2.0), (0.8, -7.0), (0.95, -37.789)])
def test_the_corridors_return_is_the_books(right: float, expected: float) -> None:
    # J = -(4 - 2 p) / (p (1 - p)), whose slope in log(p / (1 - p)) is 2 (p^2 - 4 p + 2) / (p (1 - p)).
    problem = corridor(right)
    assert problem.expected_return(problem.theta, 1.0) == pytest.approx(-(4 - 2 * right) / (right * (1 - right)))
    assert problem.exact_gradient(1.0) == pytest.approx([expected], abs=5e-4)


def test_the_bandits_gradient_by_hand() -> None:
    # p = softmax(.3, -.5, 0); the slope in a logit is p_a (q_a - J).
    powers = np.exp([0.3, -0.5, 0.0])
    p = powers / powers.sum()
    mean = p @ [3.0, 1.0, 2.0]
    assert bandit().exact_gradient(1.0) == pytest.approx((p * ([3.0, 1.0, 2.0] - mean))[:2], rel=1e-12)


@pytest.mark.parametrize("problem", [three_states(), corridor(0.2), bandit()], ids=["mdp", "corridor", "bandit"])
def test_a_tables_scores_are_the_slopes_of_log_softmax(problem: Tabular) -> None:
    def log_prob(theta: Array, observation: int, action: int) -> float:
        logits = np.append(theta.reshape(problem.observations, -1)[observation], 0.0)
        return float(log_softmax(logits)[action])

    for observation, action in itertools.product(range(problem.observations), range(problem.rewards.shape[1])):
        found = problem.scores(np.eye(problem.observations)[[observation]], np.array([action]))[0]
        assert found == pytest.approx(slope(log_prob, problem.theta, observation, action), abs=1e-6)


@pytest.mark.parametrize(("x", "u"), [(1.0, 0.5), (-2.0, 1.0), (0.3, -0.7)])
def test_the_regulators_scores_are_slopes_of_the_log_density(x: float, u: float) -> None:
    def log_prob(theta: Array) -> float:
        return float(norm.logpdf(u, theta[0] * x, np.exp(theta[1])))

    found = regulator().scores(np.array([[x]]), np.array([u]))[0]
    assert found == pytest.approx(slope(log_prob, regulator().theta), abs=1e-5)


@EACH
def test_simulated_returns_have_the_exact_mean(problem: Problem) -> None:
    played = play(problem, 20_000, seed=2)
    returns = np.add.reduceat(played.rewards, np.cumsum(played.lengths) - played.lengths)
    expected = float(problem.expected_return(problem.theta, 1.0))
    assert abs(returns.mean() - expected) < 6 * returns.std() / np.sqrt(20_000)  # 2e-9 each


def test_greedy_episodes_meet_the_same_chances() -> None:
    drawn, greedy = (play(three_states(), 500, seed=3, greedy=greedy) for greedy in (False, True))
    first = [np.cumsum(played.lengths) - played.lengths for played in (drawn, greedy)]
    same = drawn.actions[first[0]] == greedy.actions[first[1]]
    assert (drawn.observations[first[0]] == greedy.observations[first[1]]).all()
    assert (drawn.rewards[first[0]] == greedy.rewards[first[1]])[same].all()
    assert 100 < same.sum() < 400
