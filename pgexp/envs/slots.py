"""What a bank of episode slots is, and the two kinds of it that stand in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from pgexp.envs.dynamics.dynamics import Dynamics
from pgexp.envs.spaces import Spaces, hander, observation_dtype, writer
from pgexp.functional.arrays import Actions, Flags, Floats, Observations, Rows

Failures = Mapping[int, Exception]
"""The rows whose environment raised, and what it raised; whatever else is told of such a row means nothing."""

_NONE: Final[Failures] = MappingProxyType({})


class Start(NamedTuple):
    """What the begin of an episode in M slots gave."""

    observations: Observations  # [M, O]
    failures: Failures = _NONE


class Transition(NamedTuple):
    """What one step of M slots gave."""

    observations: Observations  # [M, O]; of an ended episode the last
    rewards: Floats  # [M]
    terminated: Flags  # [M]
    truncated: Flags  # [M], also where it terminated at the same step
    failures: Failures = _NONE


class Slots(ABC):
    """A bank of episode slots. Nothing restarts by itself: who steps them starts the next episode, with its seed.

    An environment that raises fails its own row, which may be started again; the other rows do not feel it.
    """

    @abstractmethod
    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
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

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Draw each row's first state from the generator that Gymnasium makes of the same seed."""
        for row, seed in zip(rows, seeds, strict=True):
            generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
            self._state[row] = self._dynamics.initial(generator)
        self._time[rows] = 0
        return Start(self._dynamics.observe(self._state[rows]))

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

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Reset each row's environment with its seed."""
        observations, failures = self._blank(len(rows)), dict[int, Exception]()
        for i, (row, seed) in enumerate(zip(rows.tolist(), seeds, strict=True)):
            try:
                self._write(self._env(row).reset(seed=seed)[0], observations[i])
            except (Exception, SystemExit) as error:
                failures[row] = self._let_go(row, error)
        return Start(observations, failures)

    def step(self, rows: Rows, actions: Actions) -> Transition:
        """Step each row's environment."""
        count, failures = len(rows), dict[int, Exception]()
        ended = np.zeros(count, bool), np.zeros(count, bool)
        result = Transition(self._blank(count), np.zeros(count), *ended, failures)
        for i, (row, action) in enumerate(zip(rows.tolist(), self._hand(actions), strict=True)):
            try:
                observation, reward, terminated, truncated, _ = self._envs[row].step(action)
                self._write(observation, result.observations[i])
                result.rewards[i], result.terminated[i], result.truncated[i] = reward, terminated, truncated
            except (Exception, SystemExit) as error:
                failures[row] = self._let_go(row, error)
        return result

    def frame(self, row: int) -> NDArray[np.uint8]:
        """Return a picture of the row's environment, [height, width, 3]; it was made with render mode rgb_array."""
        picture: NDArray[np.uint8] = np.asarray(self._envs[row].render())
        return picture

    def close(self) -> None:
        """Close every environment."""
        while self._envs:
            self._close(next(iter(self._envs)))

    def _env(self, row: int) -> gym.Env[Any, Any]:
        if self._afresh and row in self._envs:
            self._close(row)
        if row not in self._envs:
            self._envs[row] = self._make()
        return self._envs[row]

    def _let_go(self, row: int, error: BaseException) -> Exception:
        """Close an environment that raised, in whatever state it is, and return what; the row's next one is new."""
        self._close(row)
        if isinstance(error, Exception):
            return error
        ended = RuntimeError(f"the environment calls for the program's end: {error!r}")
        ended.__cause__ = error
        return ended

    def _close(self, row: int) -> None:
        """Close a row's environment, if it has one; that this fails takes nothing from what it gave."""
        with suppress(Exception, SystemExit):
            self._envs.pop(row).close()

    def _blank(self, count: int) -> Observations:
        return np.zeros((count, self._observation_size), self._dtype)
