"""Greedy replay of a batch's episodes."""

import gymnasium as gym
import pytest
import torch

from tests.learning.conftest import MakeRun
from tests.probes import diary_length, diary_reward
from tests.streams import episode_seed


def test_each_episode_is_played_again_from_its_seed_with_the_most_probable_action(run_on: MakeRun) -> None:
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
            run.learner.learn(batch)
            batches.append(batch.rewards.tolist())
        rewards.append(batches)
    assert rewards[0] == rewards[1]
