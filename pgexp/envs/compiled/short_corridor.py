"""The short corridor with switched actions."""

import numpy as np
from gymnasium.spaces import Box, Discrete

from pgexp.envs.compiled.dynamics import CONTINUES, TERMINATED, Array, Dynamics, DynamicsEnv, Mask, Words


class ShortCorridor(Dynamics):
    """Three states in a row with equal observations, and the goal on the right (Sutton & Barto 2018, example 13.1).

    Action 0 moves left and action 1 right, but the other way round in the second state. A wall is left of the first
    state. A step costs 1. The policy that chooses action 1 with probability p has the expected return

        -(4 - 2 p) / (p (1 - p)),

    whose maximum is -(6 + 4 sqrt 2) = -11.66 at p = 2 - sqrt 2 = .59.
    """

    state_size = 1
    observation_space = Box(1.0, 1.0, (1,), np.float32)
    action_space = Discrete(2)
    max_episode_steps = 1000

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Start in the first state."""
        state[0] = 0.0

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Move. The goal terminates the episode."""
        place = state[0]
        right = (action[0] == 1.0) != (place == 1.0)
        state[0] = place + 1.0 if right else max(place - 1.0, 0.0)
        reward[0] = -1.0
        return TERMINATED if state[0] == 3.0 else CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write 1 in every state."""
        observation[0] = 1.0


class ShortCorridorEnv(DynamicsEnv):
    """The short corridor as a Gymnasium environment."""

    def __init__(self) -> None:
        super().__init__(ShortCorridor())
