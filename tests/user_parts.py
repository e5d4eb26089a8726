"""A user's own dynamics, as configurations name them."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

from pgexp.envs.compiled.dynamics import CONTINUES, INVALID, TERMINATED, Dynamics
from pgexp.kernels.random import random

LENGTH = 80  # steps per episode
NO_FAULT, NAN_REWARD, INFINITE_OBSERVATION, RAISES, REFUSES, FORBIDS_ALL, NAN_FINAL = range(7)


class FaultyDynamics(Dynamics):
    """Episodes of 80 steps. One episode in ten, in which the first draw exceeds 0.9, has a fault at step `at`.

    The state is the draw, the time, and the sum of the actions. The observation is the draw and the time over 80.
    """

    state_size = 3
    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Discrete(2)
    masked = True

    def __init__(self, fault: int, at: int = 60) -> None:
        self.parameters = [fault, at]

    @staticmethod
    def reset(state, rng, parameters):
        """Draw whether the episode has a fault."""
        state[0], state[1], state[2] = random(rng), 0.0, 0.0

    @staticmethod
    def step(state, action, rng, parameters, reward):
        """Count the time and the actions."""
        now = state[0] > 0.9 and state[1] == parameters[1]
        if now and parameters[0] == RAISES:
            raise ValueError("the motor is stuck")
        if now and parameters[0] == REFUSES:
            return INVALID
        state[1] += 1.0
        state[2] += action[0]
        reward[0] = np.nan if now and parameters[0] == NAN_REWARD else state[2]
        return TERMINATED if state[1] == LENGTH else CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        """Write the draw and the time."""
        now = state[0] > 0.9 and state[1] == parameters[1]
        observation[0], observation[1] = state[0], state[1] / LENGTH
        if now and parameters[0] == INFINITE_OBSERVATION:
            observation[1] = np.inf
        if state[0] > 0.9 and state[1] == LENGTH and parameters[0] == NAN_FINAL:
            observation[0] = np.nan
        mask[0] = mask[1] = not (now and parameters[0] == FORBIDS_ALL)


class Levers(Dynamics):
    """Three levers, of which the mask allows some: none in state 0. The reward is the number of levers pulled."""

    state_size = 1
    observation_space = Box(0.0, 4.0, (1,), np.float64)
    action_space: Any = MultiBinary(3)
    max_episode_steps = 12
    masked = True

    @staticmethod
    def reset(state, rng, parameters):
        """Start at 0."""
        state[0] = 0.0

    @staticmethod
    def step(state, action, rng, parameters, reward):
        """Advance the state by one modulo 4."""
        reward[0] = 0.0
        for d in range(action.size):
            reward[0] += action[d]
        state[0] = (state[0] + 1.0) % 4.0
        return CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        """Write the state. Lever d is allowed if d + 1 divides the state, except in state 0."""
        observation[0] = state[0]
        for d in range(3):
            mask[d] = state[0] > 0.0 and state[0] % (d + 1) == 0.0


class Dials(Levers):
    """Two dials of two and three positions. If `stuck`, the second one has no allowed position at step 60."""

    action_space: Any = MultiDiscrete([2, 3])
    max_episode_steps = 80

    def __init__(self, stuck: bool = False) -> None:
        self.parameters = [stuck]

    @staticmethod
    def step(state, action, rng, parameters, reward):
        """Count the steps."""
        reward[0] = action[0] + 10.0 * action[1]
        state[0] += 1.0
        return CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        """Write the time modulo 3; forbid this position of the second dial, and action 1 of the first at even times."""
        observation[0] = state[0] % 3.0
        mask[0] = True
        mask[1] = state[0] % 2.0 == 1.0
        for j in range(3):
            mask[2 + j] = state[0] % 3.0 != j and not (parameters[0] != 0.0 and state[0] == 60.0)
