"""Compiled dynamics as a Gymnasium environment."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from pgexp.envs.compiled.dynamics import INVALID, TERMINATED, Dynamics, kernels
from pgexp.kernels.random import seed_generator


class DynamicsEnv(gym.Env[NDArray[Any], Any]):
    """One row of the dynamics. Its episodes equal those of the compiled loop for the same seeds and actions.

    It applies no time limit: wrap it in `gymnasium.wrappers.TimeLimit`. If the dynamics are masked,
    `info["action_mask"]` says which actions are allowed (int8).
    """

    def __init__(self, dynamics: Dynamics) -> None:
        self.observation_space = dynamics.observation_space
        self.action_space = dynamics.action_space
        self._kernels = kernels(dynamics)
        self._masked = dynamics.masked
        self._parameters = dynamics.parameters
        self._rng: NDArray[np.uint64] | None = None
        self._state = np.zeros(dynamics.state_size)
        self._reward = np.zeros(1)
        self._observation = np.zeros(dynamics.observation_size)
        self._mask = np.zeros(dynamics.mask_size, dtype=np.bool_)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode, with a generator of this seed or, if it is None, with the generator of the last episode."""
        super().reset(seed=seed)
        if self._rng is None or seed is not None:
            self._rng = np.zeros(4, dtype=np.uint64)
            seed_generator(self.np_random.integers(2**31) if seed is None else seed, self._rng)
        self._kernels.reset(self._state, self._rng, self._parameters)
        return self._observe()

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Take a step. Raises ValueError if the action is not allowed, RuntimeError before the first reset."""
        if self._rng is None:
            raise RuntimeError("step was called before reset")
        if not isinstance(self.action_space, spaces.Box) and not self.action_space.contains(action):
            raise ValueError(f"the action must be in {self.action_space} (got {action!r})")
        start = getattr(self.action_space, "start", 0)
        flat = (np.asarray(action, dtype=self.action_space.dtype) - start).astype(np.float64).reshape(-1)
        status = self._kernels.step(self._state, flat, self._rng, self._parameters, self._reward)
        if status == INVALID:
            raise ValueError(f"the action is not allowed in this state (got {action!r})")
        observation, info = self._observe()
        return observation, float(self._reward[0]), status == TERMINATED, False, info

    def _observe(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self._kernels.observe(self._state, self._parameters, self._observation, self._mask)
        space = self.observation_space
        observation = self._observation.astype(space.dtype).reshape(space.shape)
        return observation, {"action_mask": self._mask.astype(np.int8)} if self._masked else {}
