"""What is collected is what happened: every transition of every slot, by the streams alone."""

from dataclasses import dataclass
from itertools import accumulate, count

import numpy as np
import pytest
import torch

from pgexp.functional.batch import Batch
from pgexp.schema.streams import generator, integer
from tests.learning.conftest import MakePack
from tests.probes import diary_end, diary_length, diary_observation, diary_reward

ACTIONS = 4  # powers of two: a uniform policy's cumulative probabilities are exact
BLOCK = 512  # draws that come of one generator


def drawn_actions(seed: int, slot: int, episode: int, length: int) -> list[int]:
    """Return what a uniform policy does in an episode: the noise of its streams, block by block, times four."""
    blocks = range(-(-length // BLOCK))
    noise = [generator(seed, "action", slot, episode, block).random(BLOCK, dtype=np.float32) for block in blocks]
    return (np.concatenate(noise)[:length] * ACTIONS).astype(int).tolist()


def segments_of(steps: int) -> tuple[str, ...]:
    return "algorithm.batch.episodes=null", f"algorithm.batch.steps={steps}", "algorithm.open_tail=drop"


@dataclass
class Told:
    """An episode as the diary tells it, from the run's seed, the slot and the episode's number."""

    seed: int
    slot: int
    episode: int
    start: int = 0

    def __post_init__(self) -> None:
        env_seed = integer(self.seed, "env", self.slot, self.episode)
        length = diary_length(env_seed)
        self.observations = [diary_observation(env_seed, time) for time in range(length + 1)]
        self.actions = drawn_actions(self.seed, self.slot, self.episode, length)
        self.rewards = [diary_reward(env_seed, time, self.start + action) for time, action in enumerate(self.actions)]
        self.terminated, truncated = diary_end(env_seed)
        self.truncated = truncated and not self.terminated

    def __len__(self) -> int:
        return len(self.actions)


def assert_tells(batch: Batch, episodes: list[Told]) -> None:
    """Hold a batch of whole episodes to the diary."""
    assert batch.lengths.tolist() == [len(episode) for episode in episodes]
    assert batch.observations.tolist() == [row for episode in episodes for row in episode.observations[:-1]]
    assert batch.final.tolist() == [episode.observations[-1] for episode in episodes]
    assert batch.actions.tolist() == [action for episode in episodes for action in episode.actions]
    assert batch.rewards.tolist() == [reward for episode in episodes for reward in episode.rewards]
    assert batch.terminated.tolist() == [episode.terminated for episode in episodes]
    assert batch.truncated.tolist() == [episode.truncated for episode in episodes]
    assert batch.returns.tolist() == [sum(episode.rewards) for episode in episodes]
    assert batch.first.tolist() == [0] * len(episodes)


class TestEpisodes:
    """Batches of K whole episodes: K / N of each slot, slot after slot."""

    def test_every_transition_is_as_it_happened(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", "env.slots=3", "algorithm.batch.episodes=6", seeds=[5, 6])
        for first in (0, 2, 4):
            for seed, batch in zip((5, 6), pack.collector.collect(pack.stacked, [0, 1]), strict=True):
                assert_tells(batch, [Told(seed, slot, first + turn) for slot in range(3) for turn in range(2)])

    def test_the_diary_has_every_kind_of_end_and_length(self) -> None:
        seeds = [integer(5, "env", slot, episode) for slot in range(3) for episode in range(6)]
        assert {diary_end(seed) for seed in seeds} == {(True, False), (False, True), (True, True)}
        assert {diary_length(seed) for seed in seeds} >= {1, 2, 6, 7}

    def test_what_ends_by_itself_at_the_limit_is_terminated_and_not_truncated(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "env.max_episode_steps=3", "algorithm.batch.episodes=1", length=3)
        (batch,) = pack.collector.collect(pack.stacked, [0])
        assert (batch.terminated.tolist(), batch.truncated.tolist()) == ([True], [False])

    def test_a_cut_episode_is_truncated_and_its_final_observation_is_its_own(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "env.max_episode_steps=3", "algorithm.batch.episodes=2", "env.slots=1")
        (batch,) = pack.collector.collect(pack.stacked, [0])
        assert (batch.terminated.tolist(), batch.truncated.tolist()) == ([False] * 2, [True] * 2)
        assert batch.observations.ravel().tolist() == [0.0, 1.0, 2.0] * 2
        assert batch.final.tolist() == [[3.0], [3.0]]

    def test_the_environment_receives_its_own_numbering_and_the_batch_counts_from_0(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", "env.slots=2", "algorithm.batch.episodes=2", start=5)
        (batch,) = pack.collector.collect(pack.stacked, [0])
        assert_tells(batch, [Told(0, slot, 0, start=5) for slot in range(2)])
        assert batch.actions.max() < ACTIONS

    @pytest.mark.parametrize("slots", [1, 2, 4])
    def test_a_slots_episodes_do_not_depend_on_how_many_slots_there_are(self, pack_on: MakePack, slots: int) -> None:
        pack = pack_on("Diary", f"env.slots={slots}", "algorithm.batch.episodes=4")
        (batch,) = pack.collector.collect(pack.stacked, [0])
        assert_tells(batch, [Told(0, slot, turn) for slot in range(slots) for turn in range(4 // slots)])

    def test_runs_may_be_left_out_and_their_episodes_are_not_played(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", "env.slots=2", "algorithm.batch.episodes=2", seeds=[5, 6, 7])
        for episode in range(3):
            batches = pack.collector.collect(pack.stacked, [0, 2])
            for seed, batch in zip((5, 7), batches, strict=True):
                assert_tells(batch, [Told(seed, slot, episode) for slot in range(2)])
        (late,) = pack.collector.collect(pack.stacked, [1])
        assert_tells(late, [Told(6, slot, 0) for slot in range(2)])

    def test_a_batch_that_is_kept_does_not_change_with_the_next(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", "env.slots=2", "algorithm.batch.episodes=2")
        (kept,) = pack.collector.collect(pack.stacked, [0])
        pack.collector.collect(pack.stacked, [0])
        assert_tells(kept, [Told(0, slot, 0) for slot in range(2)])

    def test_long_episodes_are_held_whole_and_drawn_block_by_block(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "env.slots=1", "algorithm.batch.episodes=2", length=1100)
        (batch,) = pack.collector.collect(pack.stacked, [0])
        assert batch.lengths.tolist() == [1100, 1100]
        assert batch.observations.ravel().tolist() == [*range(1100)] * 2
        assert batch.actions.tolist() == drawn_actions(0, 0, 0, 1100) + drawn_actions(0, 0, 1, 1100)

    def test_observations_are_in_the_policys_precision(self, pack_on: MakePack) -> None:
        for dtype in ("float32", "float64"):
            pack = pack_on("Diary", f"dtype={dtype}", "algorithm.batch.episodes=1")
            (batch,) = pack.collector.collect(pack.stacked, [0])
            assert (batch.observations.dtype, batch.final.dtype) == (dtype, dtype)
            assert batch.rewards.dtype == np.float64


class TestSegments:
    """Batches of T steps in each of N slots; episodes go on from one to the next."""

    def test_an_episode_of_three_steps_in_segments_of_four(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "env.slots=1", *segments_of(4), length=3)
        one, two, three, four = (pack.collector.collect(pack.stacked, [0])[0] for _ in range(4))

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

    @pytest.mark.parametrize(("slots", "steps"), [(1, 1), (2, 5), (3, 16)])
    def test_segments_in_a_row_are_each_slots_episodes_in_a_row(
        self, pack_on: MakePack, slots: int, steps: int
    ) -> None:
        pack = pack_on("Diary", f"env.slots={slots}", *segments_of(steps), seeds=[5, 6])
        for segment in range(6):
            for seed, batch in zip((5, 6), pack.collector.collect(pack.stacked, [0, 1]), strict=True):
                assert batch.steps == slots * steps
                parts = [
                    part
                    for slot in range(slots)
                    for part in parts_of(seed, slot, segment * steps, (segment + 1) * steps)
                ]
                assert_tells_parts(batch, parts)

    def test_an_episode_that_ends_with_the_segment_leaves_no_open_part(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "env.slots=2", *segments_of(4), length=2)
        for _ in range(2):
            (batch,) = pack.collector.collect(pack.stacked, [0])
            assert batch.lengths.tolist() == [2, 2, 2, 2]
            assert batch.first.tolist() == [0, 0, 0, 0]
            assert not batch.open.any()


Part = tuple[Told, int, int]
"""An episode, the time of the first step held of it and the time after the last."""


def parts_of(seed: int, slot: int, begin: int, end: int) -> list[Part]:
    """Return what a slot's steps from begin to end hold of its episodes in a row."""
    parts, position = [], 0
    for number in count():
        episode = Told(seed, slot, number)
        first, last = max(begin - position, 0), min(end - position, len(episode))
        if first < last:
            parts.append((episode, first, last))
        position += len(episode)
        if position >= end:
            return parts
    raise AssertionError


def assert_tells_parts(batch: Batch, parts: list[Part]) -> None:
    """Hold a segment to the parts of episodes that it holds."""
    ends = [last == len(episode) for episode, _, last in parts]
    assert batch.lengths.tolist() == [last - first for _, first, last in parts]
    assert batch.first.tolist() == [first for _, first, _ in parts]
    assert batch.observations.tolist() == [
        row for episode, *held in parts for row in episode.observations[slice(*held)]
    ]
    assert batch.actions.tolist() == [action for episode, *held in parts for action in episode.actions[slice(*held)]]
    assert batch.rewards.tolist() == [reward for episode, *held in parts for reward in episode.rewards[slice(*held)]]
    assert batch.final.tolist() == [episode.observations[last] for episode, _, last in parts]
    assert batch.returns.tolist() == [[*accumulate(episode.rewards)][last - 1] for episode, _, last in parts]
    assert batch.open.tolist() == [not ended for ended in ends]
    for i, (episode, _, _) in enumerate(parts):
        assert batch.terminated[i] == (ends[i] and episode.terminated)
        assert batch.truncated[i] == (ends[i] and episode.truncated)


class TestPolicy:
    def test_each_run_acts_under_its_own_parameters_as_they_are_now(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "algorithm.batch.episodes=1", seeds=[0, 1], length=6)
        bias = pack.stacked["0.bias"]
        for favourites in ((0, 3), (2, 1)):
            bias[:] = -1_000.0
            for run, action in enumerate(favourites):
                bias[run, action] = 1_000.0
            for batch, action in zip(pack.collector.collect(pack.stacked, [0, 1]), favourites, strict=True):
                assert batch.actions.tolist() == [action] * 6

    def test_it_acts_on_what_it_sees_by_inverse_transform_of_the_streams_noise(self, pack_on: MakePack) -> None:
        pack = pack_on("Clock", "dtype=float64", "algorithm.batch.episodes=1", length=400)
        weight = np.array([[0.0, 0.01, -0.01, 0.005]])
        pack.stacked["0.weight"][0] = torch.from_numpy(weight)
        (batch,) = pack.collector.collect(pack.stacked, [0])
        powers = np.exp(np.arange(400.0)[:, None] * weight)
        cumulative = (powers / powers.sum(1, keepdims=True)).cumsum(1)
        noise = generator(0, "action", 0, 0, 0).random(BLOCK, dtype=np.float32)[:400]
        assert batch.actions.tolist() == [
            np.searchsorted(*row, side="right") for row in zip(cumulative, noise, strict=True)
        ]
