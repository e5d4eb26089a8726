"""Batches of CartPole against an independent simulation with Gymnasium and NumPy."""

from collections.abc import Callable
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from pgexp.execution.assembly import Run
from tests.algorithms.conftest import Assemble
from tests.conftest import Compose
from tests.streams import action_uniforms, episode_seed, sequence

SEED, ENVIRONMENTS = 11, 2
SETTINGS = ("dtype=float64", "network=mlp", "network.widths=[5,3]", "network.activation=relu", "baseline=none")
CHANCE = np.random.default_rng(0)
WEIGHTS = [CHANCE.normal(0.0, 1.0, shape) for shape in ((4, 5), (5, 3), (3, 2))]
BIASES = [CHANCE.normal(0.0, 1.0, size) for size in (5, 3, 2)]


def logits(observation: np.ndarray) -> np.ndarray:
    x = observation.astype(np.float64)
    for weight, bias in zip(WEIGHTS[:-1], BIASES[:-1], strict=True):
        x = np.maximum(x @ weight + bias, 0.0)
    return x @ WEIGHTS[-1] + BIASES[-1]


class Simulated:
    """An episode: Gymnasium's environment under the policy in NumPy."""

    def __init__(self, environment: int, number: int) -> None:
        key = sequence(SEED, "action").generate_state(2, np.uint64)
        env = gym.make("CartPole-v1", max_episode_steps=30)
        observation, _ = env.reset(seed=episode_seed(SEED, "env", environment, number))
        self.environment, self.number = environment, number
        self.observations, self.actions, self.rewards = [observation], list[int](), list[float]()
        self.terminated = self.truncated = False
        while not (self.terminated or self.truncated):
            powers = np.exp(logits(observation))
            uniform = action_uniforms(key, environment, number, len(self.actions))[0]
            action = int(uniform >= powers[0] / powers.sum())
            observation, reward, self.terminated, self.truncated, _ = env.step(action)
            self.observations.append(observation)
            self.actions.append(action)
            self.rewards.append(float(reward))
        env.close()


@pytest.fixture(params=["auto", "sync"])
def run_of(request: pytest.FixtureRequest, configured: Compose, assembled: Assemble) -> Callable[..., Run]:
    """Return a function from overrides to a run with the simulation's weights."""

    def run(*overrides: str) -> Run:
        config = configured(*SETTINGS, f"env.num_envs={ENVIRONMENTS}", "env.max_episode_steps=30", *overrides)
        env = replace(config.env, vectorization=request.param)
        made = assembled(replace(config, seed=SEED, env=env))
        views = list(made.parameters.views.values())
        for numbers in (WEIGHTS, BIASES):
            for array in numbers:
                (view,) = [view for view in views if tuple(view.shape) == array.shape]
                view.detach().numpy()[...] = array
        return made

    return run


def test_whole_episodes(run_of: Callable[..., Run]) -> None:
    collector = run_of("algorithm.batch.episodes=6").collector
    for first in (0, 3):
        batch = collector.collect()
        episodes = [Simulated(i, first + n) for i in range(ENVIRONMENTS) for n in range(3)]
        assert batch.actions.tolist() == [action for one in episodes for action in one.actions]
        assert batch.rewards.tolist() == [reward for one in episodes for reward in one.rewards]
        assert batch.observations.tolist() == [row.tolist() for one in episodes for row in one.observations[:-1]]
        assert batch.final.tolist() == [one.observations[-1].tolist() for one in episodes]
        assert batch.lengths.tolist() == [len(one.actions) for one in episodes]
        assert batch.returns.tolist() == [sum(one.rewards) for one in episodes]
        assert batch.terminated.tolist() == [one.terminated for one in episodes]
        assert batch.truncated.tolist() == [one.truncated and not one.terminated for one in episodes]
        assert 0 < batch.actions.mean() < 1


def test_segments(run_of: Callable[..., Run]) -> None:
    """Four segments of 25 steps are the first 100 steps of each environment's consecutive episodes."""
    collector = run_of("algorithm.batch={episodes:null,steps:25}", "algorithm.partial_episodes=drop").collector
    batches = [collector.collect() for _ in range(4)]
    for i in range(ENVIRONMENTS):
        episodes = [Simulated(i, n) for n in range(12)]
        rows = [batch.observations[i * 25 : (i + 1) * 25].tolist() for batch in batches]
        expected = [row.tolist() for one in episodes for row in one.observations[:-1]]
        assert len(expected) >= 100
        assert [row for part in rows for row in part] == expected[:100]
        actions = [action for one in episodes for action in one.actions][:100]
        assert [int(a) for batch in batches for a in batch.actions[i * 25 : (i + 1) * 25]] == actions
