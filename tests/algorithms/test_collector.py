"""Collected batches against the probes' transitions and NumPy's random streams, and their greedy replay."""

from dataclasses import dataclass
from itertools import accumulate, count

import gymnasium as gym
import numpy as np
import pytest
import torch

from pgexp.functional.batch import Batch
from tests.algorithms.conftest import MakeRun
from tests.probes import diary_end, diary_length, diary_observation, diary_reward
from tests.softmax_runs import learn_from
from tests.streams import episode_seed, episode_uniforms

ACTIONS = 4  # powers of two: a uniform policy's cumulative probabilities are exact


def uniform_actions(seed: int, environment: int, episode: int, length: int) -> list[int]:
    """Return the actions of a uniform policy in an episode."""
    uniforms = episode_uniforms(seed, "action", environment=environment, episode=episode, steps=length)
    return (uniforms * ACTIONS).astype(int).tolist()


def segments_of(steps: int) -> tuple[str, ...]:
    return "algorithm.batch.episodes=null", f"algorithm.batch.steps={steps}", "algorithm.partial_episodes=drop"


@dataclass
class Expected:
    """An episode of the diary under a uniform policy, from the run's seed, the environment and the episode's number."""

    seed: int
    environment: int
    episode: int
    start: int = 0

    def __post_init__(self) -> None:
        env_seed = episode_seed(self.seed, "env", self.environment, self.episode)
        length = diary_length(env_seed)
        self.observations = [diary_observation(env_seed, time) for time in range(length + 1)]
        self.actions = uniform_actions(self.seed, self.environment, self.episode, length)
        self.rewards = [diary_reward(env_seed, time, self.start + action) for time, action in enumerate(self.actions)]
        self.terminated, truncated = diary_end(env_seed)
        self.truncated = truncated and not self.terminated

    def __len__(self) -> int:
        return len(self.actions)


Part = tuple[Expected, int, int]
"""An episode, and the times of the first step in the batch and of the step after the last."""


def whole(*episodes: Expected) -> list[Part]:
    return [(episode, 0, len(episode)) for episode in episodes]


def parts_of(seed: int, environment: int, begin: int, end: int) -> list[Part]:
    """Return the parts of an environment's consecutive episodes within its steps from begin to end."""
    parts, position = [], 0
    for number in count():
        episode = Expected(seed, environment, number)
        first, last = max(begin - position, 0), min(end - position, len(episode))
        if first < last:
            parts.append((episode, first, last))
        position += len(episode)
        if position >= end:
            return parts
    raise AssertionError


def assert_equals_parts(batch: Batch, parts: list[Part]) -> None:
    ends = [last == len(episode) for episode, _, last in parts]
    assert batch.lengths.tolist() == [last - first for _, first, last in parts]
    assert batch.first.tolist() == [first for _, first, _ in parts]
    assert batch.observations.tolist() == [
        row for episode, *part in parts for row in episode.observations[slice(*part)]
    ]
    assert batch.actions.tolist() == [action for episode, *part in parts for action in episode.actions[slice(*part)]]
    assert batch.rewards.tolist() == [reward for episode, *part in parts for reward in episode.rewards[slice(*part)]]
    assert batch.final.tolist() == [episode.observations[last] for episode, _, last in parts]
    assert batch.returns.tolist() == [[*accumulate(episode.rewards)][last - 1] for episode, _, last in parts]
    assert batch.open.tolist() == [not ended for ended in ends]
    pairs = list(zip(parts, ends, strict=True))
    assert batch.terminated.tolist() == [ended and episode.terminated for (episode, *_), ended in pairs]
    assert batch.truncated.tolist() == [ended and episode.truncated for (episode, *_), ended in pairs]
    assert batch.environments.tolist() == [episode.environment for episode, *_ in parts]
    assert batch.numbers.tolist() == [episode.episode for episode, *_ in parts]


class TestEpisodes:
    """Batches of K whole episodes: K / N per environment, ordered by environment."""

    def test_each_transition_is_the_environments(self, run_on: MakeRun) -> None:
        for seed in (5, 6):
            run = run_on("Diary", "env.num_envs=3", "algorithm.batch.episodes=6", seed=seed)
            for first in (0, 2, 4):
                episodes = [Expected(seed, i, first + n) for i in range(3) for n in range(2)]
                assert_equals_parts(run.collector.collect(), whole(*episodes))

    def test_the_diary_has_each_kind_of_end_and_length(self) -> None:
        seeds = [episode_seed(seed, "env", i, episode) for seed in (5, 6) for i in range(3) for episode in range(6)]
        assert {diary_end(seed) for seed in seeds} == {(True, False), (False, True), (True, True)}
        assert {diary_length(seed) for seed in seeds} >= {1, 2, 6, 7}

    def test_a_termination_at_the_time_limit_is_not_a_truncation(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "env.max_episode_steps=3", "algorithm.batch.episodes=1", length=3)
        batch = run.collector.collect()
        assert (batch.terminated.tolist(), batch.truncated.tolist()) == ([True], [False])

    def test_a_truncated_episode_has_its_own_final_observation(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "env.max_episode_steps=3", "algorithm.batch.episodes=2", "env.num_envs=1")
        batch = run.collector.collect()
        assert (batch.terminated.tolist(), batch.truncated.tolist()) == ([False] * 2, [True] * 2)
        assert batch.observations.ravel().tolist() == [0.0, 1.0, 2.0] * 2
        assert batch.final.tolist() == [[3.0], [3.0]]

    def test_the_environment_receives_actions_counted_from_its_start(self, run_on: MakeRun) -> None:
        run = run_on("Diary", "env.num_envs=2", "algorithm.batch.episodes=2", start=5)
        batch = run.collector.collect()
        assert_equals_parts(batch, whole(*(Expected(0, i, 0, start=5) for i in range(2))))
        assert batch.actions.max() < ACTIONS

    @pytest.mark.parametrize("count", [1, 2, 4])
    def test_episodes_do_not_depend_on_the_number_of_environments(self, run_on: MakeRun, count: int) -> None:
        run = run_on("Diary", f"env.num_envs={count}", "algorithm.batch.episodes=4")
        episodes = [Expected(0, i, n) for i in range(count) for n in range(4 // count)]
        assert_equals_parts(run.collector.collect(), whole(*episodes))

    def test_a_batch_does_not_change_when_the_next_is_collected(self, run_on: MakeRun) -> None:
        run = run_on("Diary", "env.num_envs=2", "algorithm.batch.episodes=2")
        batch = run.collector.collect()
        run.collector.collect()
        assert_equals_parts(batch, whole(*(Expected(0, i, 0) for i in range(2))))

    def test_episodes_longer_than_the_buffers_are_recorded_whole(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "env.num_envs=1", "algorithm.batch.episodes=2", length=1100)
        batch = run.collector.collect()
        assert batch.lengths.tolist() == [1100, 1100]
        assert batch.observations.ravel().tolist() == [*range(1100)] * 2
        assert batch.actions.tolist() == uniform_actions(0, 0, 0, 1100) + uniform_actions(0, 0, 1, 1100)

    def test_more_episodes_than_the_buffers_hold_are_recorded(self, run_on: MakeRun) -> None:
        run = run_on("Arms", "env.num_envs=2", "algorithm.batch.episodes=700", arms=4)
        batch = run.collector.collect()
        assert batch.numbers.tolist() == [*range(350)] * 2
        expected = [uniform_actions(0, i, n, 1)[0] for i in range(2) for n in range(350)]
        assert batch.actions.tolist() == expected
        assert batch.returns.tolist() == expected

    def test_precision_of_observations_and_rewards(self, run_on: MakeRun) -> None:
        for dtype in ("float32", "float64"):
            batch = run_on("Diary", f"dtype={dtype}", "algorithm.batch.episodes=1").collector.collect()
            assert (batch.observations.dtype, batch.final.dtype) == (dtype, dtype)
            assert batch.rewards.dtype == np.float64


class TestSegments:
    """Batches of T steps in each of N environments; episodes continue from one batch to the next."""

    def test_an_episode_of_three_steps_in_segments_of_four(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "env.num_envs=1", *segments_of(4), length=3)
        one, two, three, four = (run.collector.collect() for _ in range(4))

        assert one.observations.ravel().tolist() == [0, 1, 2, 0]
        assert (one.lengths.tolist(), one.first.tolist()) == ([3, 1], [0, 0])
        assert (one.terminated.tolist(), one.open.tolist()) == ([True, False], [False, True])
        assert (one.final.ravel().tolist(), one.returns.tolist()) == ([3, 1], [3, 1])

        assert two.observations.ravel().tolist() == [1, 2, 0, 1]
        assert (two.lengths.tolist(), two.first.tolist()) == ([2, 2], [1, 0])
        assert (two.terminated.tolist(), two.open.tolist()) == ([True, False], [False, True])
        assert (two.final.ravel().tolist(), two.returns.tolist()) == ([3, 2], [3, 2])
        assert two.episode_lengths.tolist() == [3, 2]

        assert three.observations.ravel().tolist() == [2, 0, 1, 2]
        assert (three.lengths.tolist(), three.first.tolist()) == ([1, 3], [2, 0])
        assert (three.terminated.tolist(), three.open.tolist()) == ([True, True], [False, False])
        assert (three.final.ravel().tolist(), three.returns.tolist()) == ([3, 3], [3, 3])

        assert four.observations.ravel().tolist() == one.observations.ravel().tolist()
        assert four.first.tolist() == one.first.tolist()

    @pytest.mark.parametrize(("count", "steps"), [(1, 1), (2, 5), (3, 16)])
    def test_consecutive_segments_continue_episodes(self, run_on: MakeRun, count: int, steps: int) -> None:
        run = run_on("Diary", f"env.num_envs={count}", *segments_of(steps), seed=5)
        for segment in range(6):
            batch = run.collector.collect()
            assert batch.steps == count * steps
            begin = segment * steps
            assert_equals_parts(batch, [part for i in range(count) for part in parts_of(5, i, begin, begin + steps)])

    def test_an_episode_may_end_with_its_segment(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "env.num_envs=2", *segments_of(4), length=2)
        for _ in range(2):
            batch = run.collector.collect()
            assert batch.lengths.tolist() == [2, 2, 2, 2]
            assert batch.first.tolist() == [0, 0, 0, 0]
            assert not batch.open.any()


class TestPolicy:
    def test_it_acts_under_the_parameters_as_they_are_now(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "algorithm.batch.episodes=1", length=6)
        for action in (0, 3, 2):
            run.parameters.views["0.bias"].detach()[:] = 1_000.0 * torch.eye(4)[action]
            assert run.collector.collect().actions.tolist() == [action] * 6

    def test_actions_are_the_inverse_transform_of_uniform_numbers(self, run_on: MakeRun) -> None:
        run = run_on("Clock", "dtype=float64", "algorithm.batch.episodes=1", length=400)
        weight = np.array([[0.0, 0.01, -0.01, 0.005]])
        run.parameters.views["0.weight"].detach()[:] = torch.from_numpy(weight)
        batch = run.collector.collect()
        powers = np.exp(np.arange(400.0)[:, None] * weight)
        cumulative = (powers / powers.sum(1, keepdims=True)).cumsum(1)
        uniforms = episode_uniforms(0, "action", environment=0, episode=0, steps=400)
        assert batch.actions.tolist() == [
            np.searchsorted(*pair, side="right") for pair in zip(cumulative, uniforms, strict=True)
        ]


def test_each_episode_is_replayed_with_greedy_actions(run_on: MakeRun) -> None:
    run = run_on("Diary", "env.num_envs=3", "algorithm.batch.episodes=6", seed=5)
    for first, favourite in ((0, 2), (2, 1), (4, 3)):
        batch = run.collector.collect()
        run.parameters.views["0.bias"].detach()[:] = torch.eye(4)[favourite]
        replay = run.replayer(batch)
        seeds = [episode_seed(5, "env", i, first + n) for i in range(3) for n in range(2)]
        assert replay.lengths.tolist() == [diary_length(seed) for seed in seeds]
        assert replay.rewards.tolist() == [
            diary_reward(seed, time, favourite) for seed in seeds for time in range(diary_length(seed))
        ]


@pytest.mark.parametrize("vectorization", ["auto", "sync"])
def test_cartpole_is_replayed_as_gymnasium_plays_it(run_on: MakeRun, vectorization: str) -> None:
    """The favourite is action 1: the pole falls after some nine steps."""
    settings = ("env=cartpole", "env.id=CartPole-v1", f"env.vectorization={vectorization}", "env.num_envs=2")
    run = run_on("Diary", *settings, "algorithm.batch.episodes=6", seed=5)
    run.collector.collect()
    batch = run.collector.collect()
    run.parameters.views["0.bias"].detach()[:] = torch.tensor([0.0, 100.0])
    env, lengths = gym.make("CartPole-v1"), []
    for i in range(2):
        for n in range(3):
            env.reset(seed=episode_seed(5, "env", i, 3 + n))
            lengths.append(1)
            while not env.step(1)[2]:
                lengths[-1] += 1
    assert run.replayer(batch).lengths.tolist() == lengths


def test_it_does_not_change_the_collection(run_on: MakeRun) -> None:
    settings = ("env.num_envs=2", "algorithm.batch.episodes=4", "budget.steps=200", "optimizer.lr=1e-9")
    rewards = []
    for baseline in ("greedy_rollout", "none"):
        run = run_on("Diary", *settings, f"baseline={baseline}")
        batches = []
        for _ in range(3):
            batch = run.collector.collect()
            learn_from(run.trainer, batch)
            batches.append(batch.rewards.tolist())
        rewards.append(batches)
    assert rewards[0] == rewards[1]
