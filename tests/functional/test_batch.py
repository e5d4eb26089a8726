"""Properties and parts of batches."""

from dataclasses import replace

import numpy as np
import pytest

from pgexp.functional.batch import Batch


@pytest.fixture
def batch() -> Batch:
    """Return three episodes of 3, 1 and 2 steps: terminated, truncated, and open since 10 steps before the batch."""
    return Batch(
        observations=np.arange(12.0).reshape(6, 2),
        actions=np.array([0, 1, 0, 1, 1, 0]),
        rewards=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        lengths=np.array([3, 1, 2]),
        first=np.array([0, 0, 10]),
        terminated=np.array([True, False, False]),
        truncated=np.array([False, True, False]),
        final=np.array([[20.0, 21.0], [22.0, 23.0], [24.0, 25.0]]),
        returns=np.array([6.0, 4.0, 111.0]),
        environments=np.array([0, 0, 1]),
        numbers=np.array([4, 5, 2]),
        memory=np.array([[0.0], [0.0], [0.5]]),
        masks=np.array([[True, False]] * 3 + [[False, True]] * 3),
    )


def test_steps_are_counted(batch: Batch) -> None:
    assert batch.steps == 6


def test_an_episode_is_open_if_neither_terminated_nor_truncated(batch: Batch) -> None:
    assert batch.open.tolist() == [False, False, True]


def test_times_and_lengths_count_from_the_episodes_first_step(batch: Batch) -> None:
    assert batch.times.tolist() == [0, 1, 2, 0, 10, 11]
    assert batch.episode_lengths.tolist() == [3, 1, 12]


def test_a_selection_has_the_steps_of_the_chosen_episodes_only(batch: Batch) -> None:
    chosen = batch.select(np.array([True, False, True]))
    assert chosen.observations.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [8.0, 9.0], [10.0, 11.0]]
    assert chosen.actions.tolist() == [0, 1, 0, 1, 0]
    assert chosen.rewards.tolist() == [1.0, 2.0, 3.0, 5.0, 6.0]
    assert chosen.lengths.tolist() == [3, 2]
    assert chosen.times.tolist() == [0, 1, 2, 10, 11]
    assert chosen.terminated.tolist() == [True, False]
    assert chosen.truncated.tolist() == [False, False]
    assert chosen.final.tolist() == [[20.0, 21.0], [24.0, 25.0]]
    assert chosen.returns.tolist() == [6.0, 111.0]
    assert chosen.environments.tolist() == [0, 1]
    assert chosen.masks is not None
    assert chosen.masks.tolist() == [[True, False]] * 3 + [[False, True]] * 2


def test_a_selection_may_be_empty(batch: Batch) -> None:
    nothing = batch.select(np.zeros(3, dtype=bool))
    assert nothing.steps == 0
    assert nothing.observations.shape == (0, 2)


def test_each_episode_is_a_batch(batch: Batch) -> None:
    parts = [*batch.episodes()]
    assert [steps for _, steps in parts] == [slice(0, 3), slice(3, 4), slice(4, 6)]
    assert [part.rewards.tolist() for part, _ in parts] == [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]]
    assert [(part.first.tolist(), part.numbers.tolist(), part.memory.tolist()) for part, _ in parts] == [
        ([0], [4], [[0.0]]),
        ([0], [5], [[0.0]]),
        ([10], [2], [[0.5]]),
    ]


def test_parts_of_a_batch_without_masks_have_none(batch: Batch) -> None:
    plain = replace(batch, masks=None)
    assert plain.select(np.array([True, False, False])).masks is None
    assert [part.masks for part, _ in plain.episodes()] == [None] * 3


def test_each_episode_has_its_own_masks(batch: Batch) -> None:
    masks = [part.masks for part, _ in batch.episodes()]
    assert [[] if mask is None else mask.tolist() for mask in masks] == [
        [[True, False]] * 3,
        [[False, True]],
        [[False, True]] * 2,
    ]
