"""Banks of environments: rows that are started and stepped, each by itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from pgexp.envs.spaces import Spaces, hander, observation_dtype, writer
from pgexp.functional.arrays import Flags, Floats, Observations, Rows


class Start(NamedTuple):
    """The beginning of an episode in M rows."""

    observations: Observations  # [M, O]
    masks: Flags | None = None  # [M, choices], the actions that are allowed; None if all are


class Transition(NamedTuple):
    """One step of M rows."""

    observations: Observations  # [M, O]; the last one of an ended episode
    rewards: Floats  # [M]
    terminated: Flags  # [M]
    truncated: Flags  # [M], also if the row terminated at the same step
    masks: Flags | None = None  # [M, choices], as in Start


class Bank(ABC):
    """A bank of environments. Nothing restarts by itself: the caller starts the next episode, with its seed.

    What an environment raises is raised by `start` and `step`; the bank is then only to be closed.
    """

    @abstractmethod
    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Begin an episode in each of the rows, [M], from its seed."""

    @abstractmethod
    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Take one step in each of the rows, [M], with its action, [M, A]; see ``functional.spaces.ActionSpace``."""

    @abstractmethod
    def close(self) -> None:
        """Release what the bank holds."""


class GymnasiumBank(Bank):
    """Gymnasium environments, one object per row, made when the row is first started.

    afresh: make a new one for each episode, because a reset leaves a part of the last episode in the environment.
    masked: whether ``info["action_mask"]`` says which actions are allowed.
    """

    def __init__(
        self, make: Callable[[], gym.Env[Any, Any]], spaces: Spaces, afresh: bool = False, masked: bool = False
    ) -> None:
        self._make, self._afresh, self._masked = make, afresh, masked
        self._write, self._hand = writer(spaces.observation), hander(spaces.action)
        self._observation_size = gym.spaces.flatdim(spaces.observation)
        self._dtype = np.dtype(observation_dtype(spaces.observation) or np.float64)
        self._envs: dict[int, gym.Env[Any, Any]] = {}

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Reset each row's environment with its seed."""
        observations: Observations = np.zeros((len(rows), self._observation_size), self._dtype)
        masks = []
        for i, (row, seed) in enumerate(zip(rows.tolist(), seeds, strict=True)):
            try:
                observation, info = self._env(row).reset(seed=seed)
            except SystemExit as error:
                raise _ended(error) from error
            self._write(observation, observations[i])
            if self._masked:
                masks.append(info["action_mask"])
        return Start(observations, _flags(masks))

    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Step each row's environment."""
        count = len(rows)
        observations: Observations = np.zeros((count, self._observation_size), self._dtype)
        rewards, terminated, truncated = np.zeros(count), np.zeros(count, bool), np.zeros(count, bool)
        envs, write, masks = self._envs, self._write, []
        for i, (row, action, target) in enumerate(zip(rows.tolist(), self._hand(actions), observations, strict=True)):
            try:
                observation, rewards[i], terminated[i], truncated[i], info = envs[row].step(action)
            except SystemExit as error:
                raise _ended(error) from error
            write(observation, target)
            if self._masked:
                masks.append(info["action_mask"])
        return Transition(observations, rewards, terminated, truncated, _flags(masks))

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

    def _close(self, row: int) -> None:
        """Close a row's environment, if it has one; an error in closing it changes no result."""
        with suppress(Exception, SystemExit):
            self._envs.pop(row).close()


def _flags(masks: Sequence[Any]) -> Flags | None:
    return np.array(masks, np.bool_).reshape(len(masks), -1) if masks else None


def _ended(error: SystemExit) -> RuntimeError:
    return RuntimeError(f"the environment tries to end the program: {error!r}")
