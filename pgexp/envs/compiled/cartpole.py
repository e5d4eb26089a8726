"""CartPole."""

import math
from typing import Final

import numpy as np
from gymnasium.spaces import Box, Discrete

from pgexp.envs.compiled.dynamics import CONTINUES, TERMINATED, Array, Dynamics, Mask, Words
from pgexp.kernels.random import uniform

GRAVITY: Final = 9.8
POLE_MASS: Final = 0.1
TOTAL_MASS: Final = 1.1
HALF_LENGTH: Final = 0.5
POLE_MOMENT: Final = 0.05  # pole mass times half length
FORCE: Final = 10.0
TAU: Final = 0.02  # seconds per step
MAX_POSITION: Final = 2.4
MAX_ANGLE: Final = 12 * 2 * math.pi / 360
HIGH: Final = np.array([2 * MAX_POSITION, np.inf, 2 * MAX_ANGLE, np.inf], dtype=np.float32)


class CartPole(Dynamics):
    """CartPole-v1: a pole on a cart, balanced by pushing the cart left (action 0) or right (action 1).

    The state is the cart's position x and velocity, and the pole's angle theta and angular velocity. With the force F,
    the masses m of the pole and M of both, and half the pole's length l, the accelerations are

        temp   = (F + m l theta'^2 sin(theta)) / M
        theta'' = (g sin(theta) - cos(theta) temp) / (l (4/3 - m cos(theta)^2 / M))
        x''     = temp - m l theta'' cos(theta) / M

    integrated by Euler's method (Barto, Sutton & Anderson 1983; the equations are those of Florian 2007 without
    friction). The reward is 1 per step, or 0 and -1 at the end if `sutton_barto_reward`.
    """

    state_size = 4
    observation_space = Box(-HIGH, HIGH)
    action_space = Discrete(2)
    max_episode_steps = 500
    reward_threshold = 475.0

    def __init__(self, sutton_barto_reward: bool = False) -> None:
        self.parameters = [0.0, -1.0] if sutton_barto_reward else [1.0, 1.0]  # reward of a step, of the last step

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw each component uniformly within 0.05."""
        for i in range(4):
            state[i] = uniform(rng, -0.05, 0.05)

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Push the cart for 0.02 s. A cart or pole beyond its limit terminates the episode."""
        x, x_dot, theta, theta_dot = state[0], state[1], state[2], state[3]
        force = FORCE if action[0] == 1.0 else -FORCE
        cos, sin = math.cos(theta), math.sin(theta)
        temp = (force + POLE_MOMENT * (theta_dot * theta_dot) * sin) / TOTAL_MASS
        theta_acc = (GRAVITY * sin - cos * temp) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS))
        x_acc = temp - POLE_MOMENT * theta_acc * cos / TOTAL_MASS
        x += TAU * x_dot
        theta += TAU * theta_dot
        state[0], state[1], state[2], state[3] = x, x_dot + TAU * x_acc, theta, theta_dot + TAU * theta_acc
        if abs(x) > MAX_POSITION or abs(theta) > MAX_ANGLE:
            reward[0] = parameters[1]
            return TERMINATED
        reward[0] = parameters[0]
        return CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the state in single precision."""
        for i in range(4):
            observation[i] = np.float32(state[i])


class CartPoleV0(CartPole):
    """CartPole-v0: CartPole-v1 with shorter episodes."""

    max_episode_steps = 200
    reward_threshold = 195.0
