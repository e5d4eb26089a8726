"""MountainCar, with three pushes and with a continuous force."""

import math
from typing import Final

import numpy as np
from gymnasium.spaces import Box, Discrete

from pgexp.envs.compiled.dynamics import CONTINUES, TERMINATED, Array, Dynamics, Mask, Words
from pgexp.kernels.random import uniform

GRAVITY: Final = 0.0025
LEFT: Final = -1.2
RIGHT: Final = 0.6
MAX_SPEED: Final = 0.07
FORCE: Final = 0.001
GOAL: Final = 0.5
POWER: Final = 0.0015
CONTINUOUS_GOAL: Final = 0.45

# Gymnasium mixes NumPy's float32 scalars with Python's numbers, which NumPy rounds to float32 first.
LEFT_32, RIGHT_32, MAX_SPEED_32 = np.float32(LEFT), np.float32(RIGHT), np.float32(MAX_SPEED)
POWER_32, GOAL_32, THREE_32 = np.float32(POWER), np.float32(CONTINUOUS_GOAL), np.float32(3)

OBSERVATIONS: Final = Box(
    np.array([LEFT, -MAX_SPEED], dtype=np.float32), np.array([RIGHT, MAX_SPEED], dtype=np.float32)
)


class MountainCar(Dynamics):
    """MountainCar-v0: a car that gains momentum in a valley to reach the hill on the right (Moore 1990).

    The state is the position x and the velocity v. The actions 0, 1, 2 push left, do nothing, and push right:

        v <- v + 0.001 (action - 1) - 0.0025 cos(3 x),  at most 0.07 in size
        x <- x + v,                                     between -1.2 (a wall, which stops the car) and 0.6

    The reward is -1 per step. The episode terminates at x >= 0.5 with a velocity of at least `goal_velocity`.
    """

    state_size = 2
    observation_space = OBSERVATIONS
    action_space = Discrete(3)
    max_episode_steps = 200
    reward_threshold = -110.0

    def __init__(self, goal_velocity: float = 0.0) -> None:
        self.parameters = [goal_velocity]

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw the position uniformly from -0.6 to -0.4; the car is at rest."""
        state[0] = uniform(rng, -0.6, -0.4)
        state[1] = 0.0

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Push the car."""
        position, velocity = state[0], state[1]
        velocity += (action[0] - 1.0) * FORCE + math.cos(3.0 * position) * -GRAVITY
        velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
        position = min(max(position + velocity, LEFT), RIGHT)
        if position == LEFT and velocity < 0.0:
            velocity = 0.0
        state[0], state[1] = position, velocity
        reward[0] = -1.0
        return TERMINATED if position >= GOAL and velocity >= parameters[0] else CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the state in single precision."""
        observation[0], observation[1] = np.float32(state[0]), np.float32(state[1])


class MountainCarContinuous(Dynamics):
    """MountainCarContinuous-v0: the same valley with a continuous force of at most 1.

        v <- v + 0.0015 force - 0.0025 cos(3 x)

    Each step costs 0.1 action^2. The goal, at x >= 0.45, pays 100.

    Gymnasium's first state is in double precision, all later ones are in single precision, and a force that it clips
    becomes one of Python's numbers. Each line below rounds as Gymnasium's does. The state's third component is 1 until
    the first step, then 0.
    """

    state_size = 3
    observation_space = OBSERVATIONS
    action_space = Box(-1.0, 1.0, (1,), np.float32)
    max_episode_steps = 999
    reward_threshold = 90.0

    def __init__(self, goal_velocity: float = 0.0) -> None:
        self.parameters = [float(np.float32(goal_velocity))]

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw the position uniformly from -0.6 to -0.4; the car is at rest."""
        state[0] = uniform(rng, -0.6, -0.4)
        state[1] = 0.0
        state[2] = 1.0

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Push the car."""
        position, velocity, first = state[0], state[1], state[2] == 1.0
        force = np.float32(action[0])
        slope = GRAVITY * math.cos(3.0 * position if first else np.float64(THREE_32 * np.float32(position)))
        if abs(force) > 1.0:
            push = math.copysign(POWER, force) - slope
        else:
            push = np.float64(force * POWER_32 - np.float32(slope))
        if first:  # too slow and too far from the walls to be clipped
            velocity = velocity + push
            position = np.float64(np.float32(position + velocity))
            velocity = np.float64(np.float32(velocity))
        else:
            velocity = np.float64(np.float32(velocity) + np.float32(push))
            velocity = min(max(velocity, -np.float64(MAX_SPEED_32)), np.float64(MAX_SPEED_32))
            position = np.float64(np.float32(position) + np.float32(velocity))
            position = min(max(position, np.float64(LEFT_32)), np.float64(RIGHT_32))
        if position == LEFT_32 and velocity < 0.0:
            velocity = 0.0
        state[0], state[1], state[2] = position, velocity, 0.0
        terminated = position >= GOAL_32 and velocity >= parameters[0]
        size = np.float64(force)
        reward[0] = (100.0 if terminated else 0.0) - size * size * 0.1
        return TERMINATED if terminated else CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write position and velocity in single precision."""
        observation[0], observation[1] = np.float32(state[0]), np.float32(state[1])
