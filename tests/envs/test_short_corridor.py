"""The short corridor against closed forms."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from pgexp.envs.spec import inspect
from tests.bank_episodes import play
from tests.exactness.problems import corridor


@pytest.mark.parametrize("actions", list(itertools.product([0, 1], repeat=3)))
def test_the_shortest_way_is_right_left_right(actions: tuple[int, ...]) -> None:
    bank = inspect("pgexp/ShortCorridor-v0", vectorization="sync").bank(1)
    (episode,) = play(bank, [1], lambda _, time: np.array([actions[time]]), 3)
    assert episode[-1][2] == (actions == (1, 0, 1))


def test_the_best_policy_is_the_books() -> None:
    # Example 13.1: action 1 with probability .59 has the return -11.6; here by linear equations, one per state.
    def loss(right: float) -> float:
        return -float(corridor(right).expected_return(np.log([right / (1 - right)]), 1.0))

    best = minimize_scalar(loss, bounds=(0.01, 0.99), method="bounded", options={"xatol": 1e-9})
    assert best.x == pytest.approx(2 - 2**0.5, abs=1e-6)
    assert -best.fun == pytest.approx(-(6 + 4 * 2**0.5), abs=1e-10)
    assert (round(best.x, 2), int(-best.fun * 10) / 10) == (0.59, -11.6)


def test_returns_have_the_mean_of_the_linear_equations() -> None:
    chance, count, right = np.random.default_rng(1), 1000, 0.3
    episodes = play(
        inspect("pgexp/ShortCorridor-v0", vectorization="sync").bank(count),
        list(range(count)),
        lambda observations, _: chance.random(len(observations)) < right,
    )
    returns = np.array([sum(step[1] for step in episode) for episode in episodes])
    expected = float(corridor(right).expected_return(np.log([right / (1 - right)]), 1.0))
    assert abs(returns.mean() - expected) < 6 * returns.std() / np.sqrt(count)  # fails with probability 2e-9


def test_it_is_truncated_after_a_thousand_steps() -> None:
    bank = inspect("pgexp/ShortCorridor-v0", vectorization="sync").bank(1)
    (episode,) = play(bank, [1], lambda *_: np.array([0]))
    assert len(episode) - 1 == 1000
    assert episode[-1] == ([1.0], -1.0, False, True)
