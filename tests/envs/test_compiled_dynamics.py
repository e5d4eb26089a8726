"""Compiled dynamics against Gymnasium's environments, bit for bit from the same seeds."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from numba import njit

from pgexp.envs.compiled import DYNAMICS, dynamics_class
from pgexp.envs.compiled.acrobot import single_cos_sin
from pgexp.envs.compiled.dynamics import CONTINUES, TERMINATED, Dynamics, addresses, check, kernels
from pgexp.envs.compiled.short_corridor import ShortCorridor
from pgexp.kernels.compilation import from_address
from pgexp.kernels.random import seed_generator
from pgexp.kernels.signatures import STEP

pytestmark = pytest.mark.filterwarnings("ignore:.*The environment CartPole-v0 is out of date")

SHIPPED = sorted(DYNAMICS.keys() - {"pgexp/ShortCorridor-v0"})

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Acrobot-v1", {}),
    ("CartPole-v0", {}),
    ("CartPole-v1", {}),
    ("CartPole-v1", {"sutton_barto_reward": True}),
    ("MountainCar-v0", {}),
    ("MountainCar-v0", {"goal_velocity": 0.03}),
    ("MountainCarContinuous-v0", {}),
    ("MountainCarContinuous-v0", {"goal_velocity": 0.03}),
    ("Pendulum-v1", {}),
    ("Pendulum-v1", {"g": 9.81}),
]

# The component of the observation whose sign a policy follows to reach the goal, or to keep the pole upright.
MOTION = {"Acrobot-v1": 5, "CartPole-v0": 3, "CartPole-v1": 3, "MountainCar-v0": 1}


class Row:
    """One row of compiled dynamics with its arrays."""

    def __init__(self, dynamics: Dynamics, compiled: bool = True) -> None:
        self.reset, self.step, self.observe = kernels(dynamics) if compiled else _uncompiled(dynamics)
        self.parameters = dynamics.parameters
        self.state = np.full(dynamics.state_size, np.nan)
        self.rng = np.zeros(4, dtype=np.uint64)
        self.reward = np.full(1, np.nan)
        self.observation = np.full(dynamics.observation_size, np.nan)
        self.mask = np.zeros(dynamics.mask_size, dtype=np.bool_)

    def start(self, seed: int) -> None:
        seed_generator(seed, self.rng)
        self.reset(self.state, self.rng, self.parameters)
        self.observe(self.state, self.parameters, self.observation, self.mask)

    def act(self, action: Any) -> int:
        flat = np.atleast_1d(np.asarray(action, dtype=np.float64))
        status = self.step(self.state, flat, self.rng, self.parameters, self.reward)
        self.observe(self.state, self.parameters, self.observation, self.mask)
        return int(status)


def _uncompiled(dynamics: Dynamics) -> list[Callable[..., Any]]:
    return [getattr(type(dynamics), name) for name in ("reset", "step", "observe")]


def policy(env: gym.Env, seed: int) -> Callable[[np.ndarray], Any]:
    """Return random actions (seed 0 modulo 3), actions that follow the motion, or a mixture of both."""
    chance, random_share = np.random.default_rng([seed, 1]), (1.0, 0.0, 0.2)[seed % 3]
    component = MOTION.get(env.spec.id, -1)

    def act(observation: np.ndarray) -> Any:
        follow = chance.random() >= random_share
        if isinstance(env.action_space, Discrete):
            last = int(env.action_space.n) - 1
            return last * int(observation[component] > 0) if follow else int(chance.integers(last + 1))
        high = env.action_space.high
        if follow:
            return high * np.float32(1 if observation[component] > 0 else -1)
        if chance.random() < 0.1:
            return high * np.float32(chance.choice([-1, 0, 1]))
        return high * chance.normal(0, 1, 1).astype(np.float32)  # beyond the bounds a third of the time

    return act


def count_ends_of_equal_episodes(name: str, arguments: dict[str, Any], seeds: range) -> tuple[int, int]:
    """Play an episode per seed in both. Return the number of episodes that terminated, and of those that did not."""
    env = gym.make(name, disable_env_checker=True, **arguments)
    row = Row(dynamics_class(name)(**arguments))
    ends = {True: 0, False: 0}
    for seed in seeds:
        act = policy(env, seed)
        observation, _ = env.reset(seed=seed)
        row.start(seed)
        assert_equal_state(env, row, observation)
        terminated = truncated = False
        while not (terminated or truncated):
            action = act(observation)
            observation, reward, terminated, truncated, _ = env.step(action)
            assert row.act(action) == (TERMINATED if terminated else CONTINUES)
            assert np.float64(reward).tobytes() == row.reward.tobytes()
            assert_equal_state(env, row, observation)
        ends[terminated] += 1
    return ends[True], ends[False]


def assert_equal_state(env: gym.Env, row: Row, observation: np.ndarray) -> None:
    assert observation.astype(np.float64).tobytes() == row.observation.tobytes()
    state = np.asarray(env.unwrapped.state, dtype=np.float64)
    assert state.tobytes() == row.state[: state.size].tobytes()


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_episodes_equal_gymnasiums_in_every_bit(name: str, arguments: dict[str, Any]) -> None:
    terminated, truncated = count_ends_of_equal_episodes(name, arguments, range(40))
    assert (terminated > 0) == (name != "Pendulum-v1")
    assert terminated + truncated == 40


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_thousand_episodes_equal_gymnasiums_in_every_bit(name: str, arguments: dict[str, Any]) -> None:
    terminated, truncated = count_ends_of_equal_episodes(name, arguments, range(1000, 2000))
    assert (terminated > 0) == (name != "Pendulum-v1")
    assert terminated + truncated == 1000


@pytest.mark.parametrize("name", SHIPPED)
def test_first_states_equal_gymnasiums_for_large_seeds(name: str) -> None:
    env, row = gym.make(name).unwrapped, Row(dynamics_class(name)())
    for seed in (0, 2**31 - 1, *np.random.default_rng(1).integers(2**31, size=1000).tolist()):
        observation, _ = env.reset(seed=seed)
        row.start(seed)
        assert observation.astype(np.float64).tobytes() == row.observation.tobytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_spaces_and_limits_are_gymnasiums(name: str) -> None:
    dynamics, env = dynamics_class(name)(), gym.make(name)
    assert dynamics.observation_space == env.observation_space
    assert dynamics.action_space == env.action_space
    assert dynamics.max_episode_steps == env.spec.max_episode_steps
    assert dynamics.reward_threshold == env.spec.reward_threshold


@pytest.mark.parametrize("name", ["Pendulum-v1", "MountainCarContinuous-v0"])
def test_a_nan_action_gives_a_nan_reward(name: str) -> None:
    row = Row(dynamics_class(name)())
    row.start(1)
    row.act(np.nan)
    assert np.isnan(row.reward[0])


@pytest.mark.parametrize("name", sorted(DYNAMICS))
def test_compiled_functions_equal_the_python_functions(name: str) -> None:
    dynamics = dynamics_class(name)()
    space = dynamics.action_space
    rows = Row(dynamics), Row(dynamics, compiled=False)
    chance = np.random.default_rng(2)
    for seed in range(5):
        for row in rows:
            row.start(seed)
        for _ in range(30):
            action = chance.normal(0, 2) if isinstance(space, Box) else chance.integers(int(space.n))
            statuses = [row.act(action) for row in rows]
            assert statuses[0] == statuses[1]
            for part in ("state", "observation", "reward", "rng"):
                assert getattr(rows[0], part).tobytes() == getattr(rows[1], part).tobytes()
            if statuses[0] == TERMINATED:
                break


@pytest.mark.parametrize("name", sorted(DYNAMICS))
def test_shipped_dynamics_pass_the_check(name: str) -> None:
    check(dynamics_class(name)(), steps=200)


def test_single_precision_cosines_and_sines_equal_numpys() -> None:
    @njit
    def cosines_and_sines(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> None:
        for i in range(x.size):
            cos[i], sin[i] = single_cos_sin(x[i])

    bits = np.arange(np.float32(2.0**-20).view(np.uint32), np.float32(0.1).view(np.uint32) + 1, 67, dtype=np.uint32)
    x = np.concatenate([bits.view(np.float32), -bits.view(np.float32), np.zeros(1, dtype=np.float32)])
    cos, sin = np.empty_like(x), np.empty_like(x)
    cosines_and_sines(x, cos, sin)
    assert np.array_equal(cos, np.cos(x))
    assert np.array_equal(sin, np.sin(x))


def test_addresses_are_those_of_the_compiled_functions() -> None:
    to_step = from_address(lambda _: STEP)

    @njit
    def call(address, state, action, rng, parameters, reward):  # type: ignore[no-untyped-def]
        return to_step(address, state)(state, action, rng, parameters, reward)

    dynamics = ShortCorridor()
    _, step, _ = addresses(dynamics)
    state, reward = np.array([2.0]), np.zeros(1)
    assert call(step, state, np.ones(1), np.zeros(4, dtype=np.uint64), dynamics.parameters, reward) == TERMINATED
    assert (state[0], reward[0]) == (3.0, -1.0)


# Sutton & Barto (2018), example 13.1: state, action (0 left, 1 right) -> next state; 3 is the goal.
CORRIDOR = {(0, 0): 0, (0, 1): 1, (1, 0): 2, (1, 1): 0, (2, 0): 1, (2, 1): 3}


@pytest.mark.parametrize(("state", "action"), CORRIDOR)
def test_the_short_corridor_moves_as_in_the_book(state: int, action: int) -> None:
    row = Row(ShortCorridor())
    row.start(0)
    assert (row.state[0], row.observation[0]) == (0.0, 1.0)
    row.state[0] = state
    status = row.act(action)
    assert (row.state[0], row.reward[0], row.observation[0]) == (CORRIDOR[state, action], -1.0, 1.0)
    assert (status == TERMINATED) == (row.state[0] == 3.0)


def test_the_short_corridors_best_policy_has_the_books_value() -> None:
    row, chance, right = Row(ShortCorridor()), np.random.default_rng(1), 2 - 2**0.5
    lengths = []
    for seed in range(3000):
        row.start(seed)
        steps = 1
        while row.act(chance.random() < right) != TERMINATED:
            steps += 1
        lengths.append(steps)
    error = np.std(lengths) / len(lengths) ** 0.5
    assert abs(np.mean(lengths) - (6 + 4 * 2**0.5)) < 5 * error


def test_dynamics_are_imported_on_first_use() -> None:
    program = """
import sys
from pgexp.envs.compiled import DYNAMICS, dynamics_class
assert "CartPole-v1" in DYNAMICS and "LunarLander-v3" not in DYNAMICS
assert "numba" not in sys.modules and "gymnasium" not in sys.modules
dynamics_class("CartPole-v1")
assert not [name for name in sys.modules if name.endswith(("acrobot", "mountain_car", "pendulum"))]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_id_of_the_registry_has_dynamics() -> None:
    for name in DYNAMICS:
        assert issubclass(dynamics_class(name), Dynamics)
