"""The short corridor as a Gymnasium environment."""

from typing import Any

import gymnasium as gym
import numpy as np

from pgexp.envs.dynamics.short_corridor import ShortCorridor
from pgexp.functional.arrays import Observations


class ShortCorridorEnv(gym.Env[Observations, np.int64]):
    """One row of the dynamics, whose rules it has."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(1.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self._dynamics = ShortCorridor()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Return to the first state."""
        super().reset(seed=seed)
        self._state = self._dynamics.initial(self.np_random)[None]
        return self._dynamics.observe(self._state)[0], {}

    def step(self, action: np.int64) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Take a step; the time limit is Gymnasium's."""
        self._state, rewards, terminated = self._dynamics.step(self._state, np.array([action]))
        return self._dynamics.observe(self._state)[0], float(rewards[0]), bool(terminated[0]), False, {}
