"""Episodes in banks of environments, under rules that read observations and the time only."""

from collections.abc import Callable

import numpy as np

from pgexp.envs.bank import Bank
from pgexp.functional.arrays import Observations

Act = Callable[[Observations, int], np.ndarray]
"""Returns actions [M] or [M, A] for observations [M, O] and the time."""

Play = list[tuple[list[float], float, bool, bool]]
"""One episode: observation, reward, terminated and truncated of each step; the first entry has the observation only."""


def play(bank: Bank, seeds: list[int], act: Act, longest: int | None = None) -> list[Play]:
    """Play an episode in each row at the same time, until all have ended or after `longest` steps."""
    live = np.arange(len(seeds))
    observations = bank.start(live, seeds).observations
    episodes: list[Play] = [[(row.tolist(), 0.0, False, False)] for row in observations]
    time = 0
    while len(live) and time != longest:
        step = bank.step(live, np.asarray(act(observations, time), np.float64).reshape(len(live), -1))
        for i, row in enumerate(live.tolist()):
            ends = bool(step.terminated[i]), bool(step.truncated[i])
            episodes[row].append((step.observations[i].tolist(), float(step.rewards[i]), *ends))
        continues = ~(step.terminated | step.truncated)
        live, observations = live[continues], step.observations[continues]
        time += 1
    return episodes


def digits(observations: Observations, component: int) -> np.ndarray:
    """Return late digits of a component of each observation, from 0 to 999: chance without a generator."""
    return (np.abs(observations[:, component].astype(np.float64)) * 1e6).astype(np.int64) % 1000


def tumble(observations: Observations, time: int) -> np.ndarray:
    """Push the cart as a late digit of its speed decides: episodes end soon."""
    return digits(observations, 1) % 2


def push(observations: Observations, time: int) -> np.ndarray:
    """Push the cart right: episodes end after some nine steps."""
    return np.ones(len(observations), dtype=np.int64)


def along(speed: int) -> Act:
    """Push in the direction of a speed, and at random one time in ten: episodes reach their goal."""

    def act(observations: Observations, time: int) -> np.ndarray:
        chance = digits(observations, speed)
        return np.where(chance < 100, chance % 3, np.where(observations[:, speed] > 0, 2, 0))

    return act


def force(most: float) -> Act:
    """Push in the direction of the last component, with forces within and beyond the bounds."""

    def act(observations: Observations, time: int) -> np.ndarray:
        chance = digits(observations, -1)
        sign = np.where(observations[:, -1] > 0, 1.0, -1.0)
        size = np.select([chance < 100, chance < 200, chance < 250], [1.0, 0.0, -1.0], chance / 400)
        return (most * sign * size)[:, None]

    return act
