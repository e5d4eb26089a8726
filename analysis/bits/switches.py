"""Small environments with vectors of switches or choices for actions, for the comparison of bits."""

import numpy as np
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete

from pgexp.envs.compiled.dynamics import CONTINUES, Array, Dynamics, Mask, Words
from pgexp.kernels.random import standard_normal, uniform


class Switches(Dynamics):
    """Three lamps with random targets; a step pays the share of the lamps that match, and some noise."""

    state_size = 3
    observation_space = Box(0.0, 1.0, (3,), np.float32)
    action_space = MultiBinary(3)
    max_episode_steps = 20

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw the targets."""
        for i in range(3):
            state[i] = uniform(rng, 0.0, 1.0)

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Pay, and draw new targets."""
        reward[0] = 0.1 * standard_normal(rng)
        for i in range(3):
            reward[0] += (1.0 if (state[i] > 0.5) == (action[i] == 1.0) else 0.0) / 3.0
            state[i] = uniform(rng, 0.0, 1.0)
        return CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the targets."""
        for i in range(3):
            observation[i] = np.float32(state[i])


class Choices(Dynamics):
    """Two dials that a random mask restricts; a step pays for the first dial's position, less the second's."""

    state_size = 2
    observation_space = Box(0.0, 1.0, (2,), np.float32)
    action_space = MultiDiscrete([3, 2])
    max_episode_steps = 20
    masked = True

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw the numbers that decide the masks."""
        for i in range(2):
            state[i] = uniform(rng, 0.0, 1.0)

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Pay, and draw new numbers."""
        reward[0] = action[0] * state[0] - action[1] * state[1]
        for i in range(2):
            state[i] = uniform(rng, 0.0, 1.0)
        return CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the numbers; positions beyond them are forbidden, but the first of each dial."""
        for i in range(2):
            observation[i] = np.float32(state[i])
        for position in range(3):
            mask[position] = position <= 3.0 * state[0]
        for position in range(2):
            mask[3 + position] = position <= 2.0 * state[1]
