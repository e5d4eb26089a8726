"""Pendulum."""

import math
from typing import Final

import numpy as np
from gymnasium.spaces import Box

from pgexp.envs.compiled.dynamics import CONTINUES, Array, Dynamics, Mask, Words
from pgexp.kernels.random import uniform

MAX_SPEED: Final = 8.0
MAX_TORQUE: Final = 2.0
TAU: Final = 0.05  # seconds per step
TORQUE_COST, TORQUE_GAIN = np.float32(0.001), np.float32(3.0)  # Gymnasium's torque is a float32
HIGH: Final = np.array([1, 1, MAX_SPEED], dtype=np.float32)


class Pendulum(Dynamics):
    """Pendulum-v1: a pendulum of length 1 and mass 1, swung up by a torque u of at most 2. It never terminates.

    The state is the angle theta, 0 if upright, and the angular velocity:

        theta' <- theta' + (3 g / 2 sin(theta) + 3 u) 0.05,  at most 8 in size
        theta  <- theta + 0.05 theta'

    A step costs theta^2 + 0.1 theta'^2 + 0.001 u^2, of the state before the step with theta within pi.
    """

    state_size = 2
    observation_space = Box(-HIGH, HIGH)
    action_space = Box(-MAX_TORQUE, MAX_TORQUE, (1,), np.float32)
    max_episode_steps = 200

    def __init__(self, g: float = 10.0) -> None:
        # numba would turn a constant exponent of 2 into a product, whose last bit may differ from the C library's pow.
        self.parameters = [g, 2.0]

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw the angle uniformly within pi and the angular velocity within 1."""
        state[0] = uniform(rng, -math.pi, math.pi)
        state[1] = uniform(rng, -1.0, 1.0)

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Apply the torque for 0.05 s."""
        theta, speed = state[0], state[1]
        g, two = parameters[0], parameters[1]
        torque = np.float32(min(max(action[0], -MAX_TORQUE), MAX_TORQUE))
        angle = (theta + math.pi) % (2 * math.pi) - math.pi
        reward[0] = -(angle**two + 0.1 * speed**two + np.float64(TORQUE_COST * torque ** np.float32(two)))
        speed += (3.0 * g / 2.0 * math.sin(theta) + np.float64(TORQUE_GAIN * torque)) * TAU
        speed = min(max(speed, -MAX_SPEED), MAX_SPEED)
        state[0], state[1] = theta + speed * TAU, speed
        return CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the angle's cosine and sine, and the angular velocity."""
        observation[0] = np.float32(math.cos(state[0]))
        observation[1] = np.float32(math.sin(state[0]))
        observation[2] = np.float32(state[1])
