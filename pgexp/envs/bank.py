"""Banks of environments: rows that are started and stepped separately."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from pgexp.envs.spaces import Spaces, action_converter, observation_dtype, observation_writer
from pgexp.functional.arrays import Flags, Floats, Observations, Rows


class Start(NamedTuple):
    """The first observations of episodes in M rows."""

    observations: Observations  # [M, O]
    masks: Flags | None = None  # [M, choices], the allowed actions; None if all are


class Transition(NamedTuple):
    """One step of M rows."""

    observations: Observations  # [M, O]; the last one of an ended episode
    rewards: Floats  # [M]
    terminated: Flags  # [M]
    truncated: Flags  # [M], also if the row terminated at the same step
    masks: Flags | None = None  # [M, choices], as in Start


class Bank(ABC):
    """A bank of environments. It does not restart episodes: the caller starts each episode with its seed.

    `start` and `step` raise an environment's exception; afterwards the bank can only be closed.
    """

    @abstractmethod
    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Begin an episode in each of the rows, [M], from its seed."""

    @abstractmethod
    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Take one step in each of the rows, [M], with its action, [M, A]; see ``functional.spaces.ActionSpace``."""

    @abstractmethod
    def close(self) -> None:
        """Release the environments."""


class GymnasiumBank(Bank):
    """Gymnasium environments, one object per row, made when the row is first started.

    recreate: whether to make a new one for each episode, because its reset keeps a part of the last episode's state.
    masked: whether ``info["action_mask"]`` is the mask of allowed actions.
    """

    def __init__(
        self, make: Callable[[], gym.Env[Any, Any]], spaces: Spaces, recreate: bool = False, masked: bool = False
    ) -> None:
        self._make, self._recreate, self._masked = make, recreate, masked
        self._write, self._convert = observation_writer(spaces.observation), action_converter(spaces.action)
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
        for i, (row, action, target) in enumerate(
            zip(rows.tolist(), self._convert(actions), observations, strict=True)
        ):
            try:
                observation, rewards[i], terminated[i], truncated[i], info = envs[row].step(action)
            except SystemExit as error:
                raise _ended(error) from error
            write(observation, target)
            if self._masked:
                masks.append(info["action_mask"])
        return Transition(observations, rewards, terminated, truncated, _flags(masks))

    def frame(self, row: int) -> NDArray[np.uint8]:
        """Return an image of the row's environment, [height, width, 3]. It requires the render mode rgb_array."""
        image: NDArray[np.uint8] = np.asarray(self._envs[row].render())
        return image

    def close(self) -> None:
        """Close every environment."""
        while self._envs:
            self._close(next(iter(self._envs)))

    def _env(self, row: int) -> gym.Env[Any, Any]:
        if self._recreate and row in self._envs:
            self._close(row)
        if row not in self._envs:
            self._envs[row] = self._make()
        return self._envs[row]

    def _close(self, row: int) -> None:
        """Close a row's environment. Errors are ignored, because they do not change results."""
        with suppress(Exception, SystemExit):
            self._envs.pop(row).close()


def _flags(masks: Sequence[Any]) -> Flags | None:
    return np.array(masks, np.bool_).reshape(len(masks), -1) if masks else None


def _ended(error: SystemExit) -> RuntimeError:
    return RuntimeError(f"the environment tried to exit the program: {error!r}")
