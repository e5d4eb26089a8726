"""Plays episodes in slots, by rules that look at nothing but observations and the time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pgexp.envs.slots import Slots
from pgexp.functional.arrays import Actions, Observations

Act = Callable[[Observations, int], Actions]
Play = list[tuple[list[float], float, bool, bool]]
"""One episode: observation, reward, terminated and truncated of each step; of the start the observation alone."""


def play(slots: Slots, seeds: list[int], act: Act, longest: int | None = None) -> list[Play]:
    """Play an episode in each slot, all side by side, until the last has ended or has lasted long enough."""
    live = np.arange(len(seeds))
    observations = np.asarray(slots.start(live, seeds).observations)
    episodes: list[Play] = [[(row.tolist(), 0.0, False, False)] for row in observations]
    time = 0
    while len(live) and time != longest:
        step = slots.step(live, act(observations, time))
        assert not step.failures
        for i, row in enumerate(live.tolist()):
            of_row = step.observations[i].tolist(), *(float(part[i]) for part in step[1:4])
            episodes[row].append(of_row)
        goes_on = ~(step.terminated | step.truncated)
        live, observations = live[goes_on], np.asarray(step.observations)[goes_on]
        time += 1
    return episodes


def digits(observations: Observations, component: int) -> np.ndarray:
    """Return late digits of a component of each observation, uniform on 0 to 999: chance without a generator."""
    return (np.abs(observations[:, component].astype(np.float64)) * 1e6).astype(np.int64) % 1000


def balance(observations: Observations, time: int) -> Actions:
    """Push to where the pole falls: episodes reach the limit."""
    return (observations[:, 2] + observations[:, 3] > 0).astype(np.int64)


def tumble(observations: Observations, time: int) -> Actions:
    """Push as a late digit of the speed says: episodes end soon, in all ways."""
    return digits(observations, 1) % 2


def push(observations: Observations, time: int) -> Actions:
    """Push right, always: episodes end after nine steps or so."""
    return np.ones(len(observations), dtype=np.int64)


def along(speed: int) -> Act:
    """Push the way things go, one time in ten some other way: episodes reach their goal."""

    def act(observations: Observations, time: int) -> Actions:
        chance = digits(observations, speed)
        return np.where(chance < 100, chance % 3, np.where(observations[:, speed] > 0, 2, 0))

    return act


def force(most: float, dtype: Any) -> Act:
    """Push the way things go, with a force up to the most and beyond it; one time in four at a bound, or with none."""

    def act(observations: Observations, time: int) -> Actions:
        chance = digits(observations, -1)
        sign = np.where(observations[:, -1] > 0, 1.0, -1.0)
        size = np.select([chance < 100, chance < 200, chance < 250], [1.0, 0.0, -1.0], chance / 400)
        return (most * sign * size)[:, None].astype(dtype)

    return act


def alternate(observations: Observations, time: int) -> Actions:
    """Take action 1, then 0, and so on, whatever is seen."""
    return np.full(len(observations), (time + 1) % 2)
