"""Acrobot."""

from typing import Final

import numpy as np

from pgexp.envs.dynamics.dynamics import Dynamics, States, columns, squared
from pgexp.functional.arrays import Actions, Flags, Floats, Observations


class Acrobot(Dynamics):
    """Acrobot-v1: two links swung up by the joint between them, with the equations of Sutton & Barto's book.

    Gymnasium draws the first state in single precision, and observes it so. A state's fifth component is 1 until the
    first step.
    """

    state_size = 5

    _GRAVITY: Final = 9.8
    _TAU: Final = 0.2
    _MAX_SPEEDS: Final = (4 * np.pi, 9 * np.pi)

    def initial(self, generator: np.random.Generator) -> States:
        """Return two angles and two angular velocities, each uniform within 0.1; angles of 0 hang down."""
        return np.append(generator.uniform(low=-0.1, high=0.1, size=(4,)).astype(np.float32), 1.0).astype(np.float64)

    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the states one Runge-Kutta step of 0.2 s later; a step costs 1, unless the tip is above the line."""
        torque = action.astype(np.float64) - 1.0
        now, tau = columns(state)[:4], self._TAU
        k1 = self._change(now, torque)
        k2 = self._change(now + tau / 2.0 * k1, torque)
        k3 = self._change(now + tau / 2.0 * k2, torque)
        k4 = self._change(now + tau * k3, torque)
        theta1, theta2, *speeds = now + tau / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        theta1, theta2 = _wrapped(theta1), _wrapped(theta2)
        speeds = [np.clip(speed, -limit, limit) for speed, limit in zip(speeds, self._MAX_SPEEDS, strict=True)]
        terminated = -np.cos(theta1) - np.cos(theta2 + theta1) > 1.0
        following = np.stack([theta1, theta2, *speeds, np.zeros(len(state))], axis=-1)
        return following, np.where(terminated, 0.0, -1.0), terminated

    def observe(self, state: States) -> Observations:
        """Return the cosine and sine of each angle, and the angular velocities."""
        theta1, theta2, *speeds, first = columns(state)
        double, single = (
            np.stack([part for theta in (theta1.astype(kind), theta2.astype(kind)) for part in _circle(theta)])
            for kind in (np.float64, np.float32)
        )
        return np.stack([*np.where(first == 1.0, single, double), *speeds], axis=-1).astype(np.float32)

    def _change(self, state: Floats, torque: Floats) -> Floats:
        """Return the derivative of the states, [4, M], of two links of length, mass and inertia 1."""
        theta1, theta2, speed1, speed2 = state
        cos, sin = np.cos(theta2), np.sin(theta2)
        d1 = 0.25 + (1.25 + 2 * 0.5 * cos) + 1.0 + 1.0
        d2 = (0.25 + 0.5 * cos) + 1.0
        phi2 = 0.5 * self._GRAVITY * np.cos(theta1 + theta2 - np.pi / 2.0)
        phi1 = (
            -0.5 * squared(speed2) * sin
            - 2 * 0.5 * speed2 * speed1 * sin
            + 1.5 * self._GRAVITY * np.cos(theta1 - np.pi / 2)
            + phi2
        )
        acc2 = (torque + d2 / d1 * phi1 - 0.5 * squared(speed1) * sin - phi2) / (0.25 + 1.0 - squared(d2) / d1)
        acc1 = -(d2 * acc2 + phi1) / d1
        return np.stack([speed1, speed2, acc1, acc2])


def _wrapped(angle: Floats) -> Floats:
    """Return the angles within pi, a whole turn taken off at a time."""
    angle = angle.copy()
    while (beyond := angle > np.pi).any():
        angle[beyond] -= 2 * np.pi
    while (beyond := angle < -np.pi).any():
        angle[beyond] += 2 * np.pi
    return angle


def _circle(theta: Observations) -> tuple[Observations, Observations]:
    return np.cos(theta), np.sin(theta)
