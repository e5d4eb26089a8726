"""CartPole."""

from typing import Final

import numpy as np

from pgexp.envs.dynamics.dynamics import Dynamics, States, columns
from pgexp.functional.arrays import Actions, Flags, Floats, Observations


class CartPole(Dynamics):
    """CartPole-v0 and -v1: a pole on a cart, balanced by pushing left or right (Barto, Sutton & Anderson 1983)."""

    state_size = 4

    _GRAVITY: Final = 9.8
    _POLE_MASS: Final = 0.1
    _TOTAL_MASS: Final = 1.1
    _HALF_LENGTH: Final = 0.5
    _POLE_MOMENT: Final = 0.05
    _FORCE: Final = 10.0
    _TAU: Final = 0.02
    _LIMITS: Final = np.array([2.4, 12 * 2 * np.pi / 360])  # of position and angle

    def initial(self, generator: np.random.Generator) -> States:
        """Return position, velocity, angle and angular velocity, each uniform within 0.05."""
        return generator.uniform(low=-0.05, high=0.05, size=(4,))

    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the states one Euler step of 0.02 s later; the reward is 1 on every step, the last included."""
        _, x_dot, theta, theta_dot = columns(state)
        force = np.where(action == 1, self._FORCE, -self._FORCE)
        cos, sin = np.cos(theta), np.sin(theta)
        temp = (force + self._POLE_MOMENT * np.square(theta_dot) * sin) / self._TOTAL_MASS
        theta_acc = (self._GRAVITY * sin - cos * temp) / (
            self._HALF_LENGTH * (4.0 / 3.0 - self._POLE_MASS * np.square(cos) / self._TOTAL_MASS)
        )
        x_acc = temp - self._POLE_MOMENT * theta_acc * cos / self._TOTAL_MASS
        change = np.stack([x_dot, x_acc, theta_dot, theta_acc], axis=-1)
        following = state + self._TAU * change
        outside = np.abs(following[:, ::2]) > self._LIMITS
        return following, np.ones(len(state)), outside[:, 0] | outside[:, 1]

    def observe(self, state: States) -> Observations:
        """Return the state in single precision."""
        return state.astype(np.float32)
