"""A run's batch: what follows from its lengths and ends."""

import numpy as np
import pytest

from pgexp.functional.batch import Batch


@pytest.fixture
def batch() -> Batch:
    """Three episodes of 3, 1 and 2 steps: one terminated, one truncated, one open that began 10 steps before."""
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
        slots=np.array([0, 0, 1]),
        numbers=np.array([4, 5, 2]),
        memory=np.array([[0.0], [0.0], [0.5]]),
    )


def test_steps_are_counted(batch: Batch) -> None:
    assert batch.steps == 6


def test_open_is_what_neither_terminated_nor_was_truncated(batch: Batch) -> None:
    assert batch.open.tolist() == [False, False, True]


def test_times_and_lengths_count_from_the_episodes_first_step(batch: Batch) -> None:
    assert batch.times.tolist() == [0, 1, 2, 0, 10, 11]
    assert batch.episode_lengths.tolist() == [3, 1, 12]


def test_a_selection_holds_the_chosen_episodes_steps_alone(batch: Batch) -> None:
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


def test_a_selection_may_be_empty(batch: Batch) -> None:
    nothing = batch.select(np.zeros(3, dtype=bool))
    assert nothing.steps == 0
    assert nothing.observations.shape == (0, 2)


def test_each_episode_alone_is_a_batch_of_its_own(batch: Batch) -> None:
    parts = [*batch.episodes()]
    assert [steps for _, steps in parts] == [slice(0, 3), slice(3, 4), slice(4, 6)]
    assert [part.rewards.tolist() for part, _ in parts] == [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]]
    assert [(part.first.tolist(), part.numbers.tolist(), part.memory.tolist()) for part, _ in parts] == [
        ([0], [4], [[0.0]]),
        ([0], [5], [[0.0]]),
        ([10], [2], [[0.5]]),
    ]
