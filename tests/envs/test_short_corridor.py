"""The short corridor moves as the book's, and its best policy is the book's."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from pgexp.envs.dynamics.short_corridor import ShortCorridor
from pgexp.envs.slots import GymnasiumSlots
from pgexp.envs.spec import inspect
from tests.exactness.problems import corridor
from tests.playing import alternate, play

# The probe's states are the dynamics', its end is theirs behind the last; its action 0 goes right.
STATES, RIGHT = np.arange(3.0)[:, None], 1
PROBE = corridor(0.5)


@pytest.mark.parametrize("action", [0, 1])
def test_it_moves_as_the_probe_that_closed_forms_are_held_to(action: int) -> None:
    following, rewards, terminated = ShortCorridor().step(STATES, np.full(3, action))
    moves = PROBE.moves[:, int(action != RIGHT)]
    expected = np.hstack([moves, 1 - moves.sum(1, keepdims=True)])
    assert np.eye(4)[following[:, 0].astype(int)].tolist() == expected.tolist()
    assert rewards.tolist() == PROBE.rewards[:, 0].tolist()
    assert terminated.tolist() == (moves.sum(1) == 0).tolist()


def test_it_begins_in_the_first_state_and_all_states_look_alike() -> None:
    dynamics = ShortCorridor()
    assert dynamics.initial(np.random.default_rng(1)).tolist() == [PROBE.first.argmax()]
    assert dynamics.observe(STATES).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("actions", list(itertools.product([0, 1], repeat=3)))
def test_the_shortest_way_is_right_left_right(actions: tuple[int, ...]) -> None:
    slots = inspect("pgexp/ShortCorridor-v0").slots(1)
    (episode,) = play(slots, [1], lambda _, time: np.array([actions[time]]), 3)
    assert episode[-1][2] == (actions == (1, 0, 1))


def test_the_best_policy_is_the_books() -> None:
    # Example 13.1: right with about .59, worth about -11.6; here by linear equations, one for each state.
    def loss(right: float) -> float:
        return -float(corridor(right).expected_return(np.log([right / (1 - right)]), 1.0))

    best = minimize_scalar(loss, bounds=(0.01, 0.99), method="bounded", options={"xatol": 1e-9})
    assert best.x == pytest.approx(2 - 2**0.5, abs=1e-6)
    assert -best.fun == pytest.approx(-(6 + 4 * 2**0.5), abs=1e-10)
    assert (round(best.x, 2), int(-best.fun * 10) / 10) == (0.59, -11.6)


def test_episodes_return_what_the_linear_equations_say() -> None:
    chance, count, right = np.random.default_rng(1), 1000, 0.3
    episodes = play(
        inspect("pgexp/ShortCorridor-v0").slots(count),
        list(range(count)),
        lambda observations, _: (chance.random(len(observations)) < right).astype(np.int64),
    )
    returns = np.array([sum(step[1] for step in episode) for episode in episodes])
    expected = float(corridor(right).expected_return(np.log([right / (1 - right)]), 1.0))
    assert abs(returns.mean() - expected) < 6 * returns.std() / np.sqrt(count)  # 2e-9


def test_it_is_cut_after_a_thousand_steps() -> None:
    spec = inspect("pgexp/ShortCorridor-v0")
    for slots in (spec.slots(1), GymnasiumSlots(spec.make, spec.spaces)):
        (episode,) = play(slots, [1], lambda _, __: np.array([0]))
        assert len(episode) - 1 == 1000
        assert episode[-1] == ([1.0], -1.0, False, True)
        (episode,) = play(slots, [2], alternate)
        assert len(episode) - 1 == 3
