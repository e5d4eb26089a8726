"""What a bank of episode slots is, and the two kinds of it that stand in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from pgexp.envs.dynamics.dynamics import Dynamics
from pgexp.envs.spaces import Spaces, hander, observation_dtype, writer
from pgexp.functional.arrays import Actions, Flags, Floats, Observations, Rows


class Transition(NamedTuple):
    """What one step of M slots gave."""

    observations: Observations  # [M, O]; of an ended episode the last
    rewards: Floats  # [M]
    terminated: Flags  # [M]
    truncated: Flags  # [M], also where it terminated at the same step


class Slots(ABC):
    """A bank of episode slots. Nothing restarts by itself: who steps them starts the next episode, with its seed."""

    @abstractmethod
    def start(self, rows: Rows, seeds: Sequence[int]) -> Observations:
        """Begin an episode in each of the rows, [M], from its seed; return the first observations, [M, O]."""

    @abstractmethod
    def step(self, rows: Rows, actions: Actions) -> Transition:
        """Take one step in each of the rows, [M], with its action; an ended episode is not stepped further.

        actions: [M], counted from 0, where the space is discrete, else [M, D]; see ``functional.spaces.ActionSpace``.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the slots hold."""


class ArraySlots(Slots):
    """Slots of dynamics written for arrays: one call steps all rows."""

    def __init__(self, dynamics: Dynamics, count: int, max_episode_steps: int) -> None:
        self._dynamics = dynamics
        self._limit = max_episode_steps
        self._state = np.zeros((count, dynamics.state_size))
        self._time = np.zeros(count, dtype=np.int64)

    def start(self, rows: Rows, seeds: Sequence[int]) -> Observations:
        """Draw each row's first state from the generator that Gymnasium makes of the same seed."""
        for row, seed in zip(rows, seeds, strict=True):
            generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
            self._state[row] = self._dynamics.initial(generator)
        self._time[rows] = 0
        return self._dynamics.observe(self._state[rows])

    def step(self, rows: Rows, actions: Actions) -> Transition:
        """Advance the rows' states by the dynamics; the time limit truncates."""
        state, rewards, terminated = self._dynamics.step(self._state[rows], actions)
        self._state[rows] = state
        self._time[rows] += 1
        return Transition(self._dynamics.observe(state), rewards, terminated, self._time[rows] >= self._limit)

    def close(self) -> None:
        """Do nothing: arrays hold no resource."""


class GymnasiumSlots(Slots):
    """Slots of Gymnasium environments, one object a row, made when the row is first started.

    Afresh: made for each episode, where a reset leaves something of the last one in the environment.
    """

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], spaces: Spaces, afresh: bool = False) -> None:
        self._make, self._afresh = make, afresh
        self._write, self._hand = writer(spaces.observation), hander(spaces.action)
        self._observation_size = gym.spaces.flatdim(spaces.observation)
        self._dtype = np.dtype(observation_dtype(spaces.observation) or np.float64)
        self._envs: dict[int, gym.Env[Any, Any]] = {}

    def start(self, rows: Rows, seeds: Sequence[int]) -> Observations:
        """Reset each row's environment with its seed."""
        observations = self._empty(len(rows))
        for i, (row, seed) in enumerate(zip(rows.tolist(), seeds, strict=True)):
            self._write(self._env(row).reset(seed=seed)[0], observations[i])
        return observations

    def step(self, rows: Rows, actions: Actions) -> Transition:
        """Step each row's environment."""
        count = len(rows)
        result = Transition(self._empty(count), np.empty(count), np.empty(count, bool), np.empty(count, bool))
        for i, (row, action) in enumerate(zip(rows.tolist(), self._hand(actions), strict=True)):
            observation, reward, terminated, truncated, _ = self._envs[row].step(action)
            self._write(observation, result.observations[i])
            result.rewards[i], result.terminated[i], result.truncated[i] = reward, terminated, truncated
        return result

    def frame(self, row: int) -> NDArray[np.uint8]:
        """Return a picture of the row's environment, [height, width, 3]; it was made with render mode rgb_array."""
        picture: NDArray[np.uint8] = np.asarray(self._envs[row].render())
        return picture

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs.values():
            env.close()
        self._envs.clear()

    def _env(self, row: int) -> gym.Env[Any, Any]:
        if self._afresh and row in self._envs:
            self._envs.pop(row).close()
        if row not in self._envs:
            self._envs[row] = self._make()
        return self._envs[row]

    def _empty(self, count: int) -> Observations:
        return np.empty((count, self._observation_size), self._dtype)
