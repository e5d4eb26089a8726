"""Episodes played again begin as they began in the batch, and follow the most probable actions."""

import torch

from pgexp.learning.replay import GreedyReplayer
from pgexp.schema.streams import Key, integer
from tests.learning.conftest import MakePack
from tests.probes import diary_length, diary_reward


def test_each_episode_is_played_again_from_its_own_seed_with_the_greedy_action(pack_on: MakePack) -> None:
    pack = pack_on("Diary", "env.slots=3", "algorithm.batch.episodes=6", seeds=[5])
    bias = pack.stacked["0.bias"]

    def stream(row: int, purpose: str, episode: int) -> Key:
        return (5, purpose, row, episode)

    replayer = GreedyReplayer(pack.env, pack.policy, pack.learners[0].student.parameters, 3, stream)
    for first, favourite in ((0, 2), (2, 1)):
        (batch,) = pack.collector.collect(pack.stacked, [0])
        bias[0] = torch.eye(4)[favourite]
        replay = replayer(batch)
        seeds = [integer(5, "env", slot, first + turn) for slot in range(3) for turn in range(2)]
        assert replay.lengths.tolist() == [diary_length(seed) for seed in seeds]
        assert replay.rewards.tolist() == [
            diary_reward(seed, time, favourite) for seed in seeds for time in range(diary_length(seed))
        ]


def test_it_leaves_the_collection_as_it_was(pack_on: MakePack) -> None:
    settings = ("env.slots=2", "algorithm.batch.episodes=4", "budget.steps=200")
    rewards = []
    for baseline in ("greedy_rollout", "none"):
        pack = pack_on("Diary", *settings, f"baseline={baseline}", "optimizer.lr=1e-9")
        batches = []
        for _ in range(3):
            (batch,) = pack.collector.collect(pack.stacked, [0])
            pack.learners[0].learn(batch)
            batches.append(batch.rewards.tolist())
        rewards.append(batches)
    assert rewards[0] == rewards[1]
