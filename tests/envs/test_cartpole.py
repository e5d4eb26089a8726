"""CartPole written for arrays equals Gymnasium's, bit for bit: the same seeds give the same episodes."""

from collections.abc import Callable

import numpy as np
import pytest

from pgexp.envs.slots import GymnasiumSlots, Slots
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.functional.arrays import Ints, Observations
from pgexp.schema.streams import integer

Play = list[tuple[list[float], float, bool, bool]]
"""One episode: observation, reward, terminated and truncated of each step; of the start the observation alone."""


def play(slots: Slots, seeds: list[int], act: Callable[[Observations, int], Ints]) -> list[Play]:
    """Play an episode in each slot, all side by side, until the last has ended."""
    live = np.arange(len(seeds))
    observations = np.asarray(slots.start(live, seeds))
    episodes: list[Play] = [[(row.tolist(), 0.0, False, False)] for row in observations]
    time = 0
    while len(live):
        step = slots.step(live, act(observations, time))
        for i, row in enumerate(live.tolist()):
            of_row = step.observations[i].tolist(), *(float(part[i]) for part in step[1:])
            episodes[row].append(of_row)
        goes_on = ~(step.terminated | step.truncated)
        live, observations = live[goes_on], np.asarray(step.observations)[goes_on]
        time += 1
    return episodes


def balance(observations: Observations, time: int) -> Ints:
    """Push to where the pole falls: episodes reach the limit."""
    return (observations[:, 2] + observations[:, 3] > 0).astype(np.int64)


def tumble(observations: Observations, time: int) -> Ints:
    """Push as a late digit of the speed says: episodes end soon, in all ways."""
    return (observations[:, 1].astype(np.float64) * 1e6).astype(np.int64) % 2


def push(observations: Observations, time: int) -> Ints:
    """Push right, always: episodes end after nine steps or so."""
    return np.ones(len(observations), dtype=np.int64)


def both(spec: EnvSpec, count: int) -> tuple[Slots, Slots]:
    return spec.slots(count), GymnasiumSlots(spec.make, spec.observation_size)


@pytest.mark.parametrize(("act", "count"), [(balance, 8), (tumble, 300), (push, 50)])
def test_episodes_are_equal_in_every_bit(act: Callable[[Observations, int], Ints], count: int) -> None:
    ours, gymnasiums = both(inspect("CartPole-v1", None, {}), count)
    seeds = [integer(7, "env", slot) for slot in range(count)]
    assert play(ours, seeds, act) == play(gymnasiums, seeds, act)


def test_a_slot_can_be_started_again_while_others_go_on() -> None:
    spec, rows = inspect("CartPole-v1", None, {}), np.arange(3)
    found = []
    for slots in both(spec, 3):
        slots.start(rows, [1, 2, 3])
        slots.step(rows, np.array([0, 1, 1]))
        begun = slots.start(rows[1:2], [9])
        step = slots.step(rows[[2, 1]], np.array([0, 1]))
        found.append((begun.tolist(), step.observations.tolist()))
    assert found[0] == found[1]


def test_the_limit_truncates_at_its_step_and_not_before() -> None:
    for slots in both(inspect("CartPole-v1", None, {}), 1):
        (episode,) = play(slots, [3], balance)
        assert len(episode) == 1 + 500
        assert [step[2:] for step in episode[-2:]] == [(False, False), (False, True)]


def test_an_episode_may_terminate_and_be_truncated_at_the_same_step() -> None:
    (episode,) = play(inspect("CartPole-v1", None, {}).slots(1), [3], push)
    length = len(episode) - 1
    assert episode[-1][2:] == (True, False)
    for slots in both(inspect("CartPole-v1", length, {}), 1):
        (cut,) = play(slots, [3], push)
        assert len(cut) - 1 == length
        assert cut[-1][2:] == (True, True)


def test_every_step_pays_1_the_last_included() -> None:
    for slots in both(inspect("CartPole-v1", None, {}), 1):
        (episode,) = play(slots, [3], push)
        assert {step[1] for step in episode[1:]} == {1.0}


@pytest.mark.filterwarnings("ignore:.*out of date.*")
def test_version_0_has_its_own_limit() -> None:
    for slots in both(inspect("CartPole-v0", None, {}), 1):
        (episode,) = play(slots, [3], balance)
        assert len(episode) == 1 + 200
