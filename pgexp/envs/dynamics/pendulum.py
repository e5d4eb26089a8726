"""Pendulum."""

from typing import Final

import numpy as np

from pgexp.envs.dynamics.dynamics import Dynamics, States, columns, squared
from pgexp.functional.arrays import Actions, Flags, Floats, Observations


class Pendulum(Dynamics):
    """Pendulum-v1: a pendulum swung up and held by a torque of at most 2; it never terminates."""

    state_size = 2

    _GRAVITY: Final = 10.0
    _MAX_SPEED: Final = 8.0
    _MAX_TORQUE: Final = 2.0
    _TAU: Final = 0.05
    _WIDEST: Final = np.array([np.pi, 1.0])  # of the first angle and angular velocity

    def initial(self, generator: np.random.Generator) -> States:
        """Return angle, 0 upright, and angular velocity, uniform within pi and 1."""
        return generator.uniform(low=-self._WIDEST, high=self._WIDEST)

    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the states one Euler step of 0.05 s later; a step costs angle^2 + .1 speed^2 + .001 torque^2."""
        theta, speed = columns(state)
        torque = np.clip(action[:, 0].astype(np.float32), -self._MAX_TORQUE, self._MAX_TORQUE)
        angle = (theta + np.pi) % (2 * np.pi) - np.pi
        costs = squared(angle) + 0.1 * squared(speed) + 0.001 * squared(torque)
        speed = speed + (3 * self._GRAVITY / 2 * np.sin(theta) + 3.0 * torque) * self._TAU
        speed = np.clip(speed, -self._MAX_SPEED, self._MAX_SPEED)
        following = np.stack([theta + speed * self._TAU, speed], axis=-1)
        return following, -costs, np.zeros(len(state), dtype=bool)

    def observe(self, state: States) -> Observations:
        """Return the angle's cosine and sine, and the angular velocity."""
        theta, speed = columns(state)
        return np.stack([np.cos(theta), np.sin(theta), speed], axis=-1).astype(np.float32)
