"""MountainCar, with pushes and with a continuous force."""

from typing import Final

import numpy as np

from pgexp.envs.dynamics.dynamics import Dynamics, States, columns, cosine
from pgexp.functional.arrays import Actions, Flags, Floats, Observations


class MountainCar(Dynamics):
    """MountainCar-v0: a car that must swing itself out of a valley (Moore 1990); a step costs 1."""

    state_size = 2

    _FORCE: Final = 0.001
    _GRAVITY: Final = 0.0025
    _LEFT: Final = -1.2
    _RIGHT: Final = 0.6
    _GOAL: Final = 0.5
    _MAX_SPEED: Final = 0.07

    def initial(self, generator: np.random.Generator) -> States:
        """Return the position, uniform between -.6 and -.4, and a velocity of 0."""
        return np.array([generator.uniform(low=-0.6, high=-0.4), 0.0])

    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the states a step later; the wall on the left stops the car, the goal on the right terminates."""
        position, velocity = columns(state)
        velocity = velocity + ((action - 1) * self._FORCE + cosine(3 * position) * -self._GRAVITY)
        velocity = np.clip(velocity, -self._MAX_SPEED, self._MAX_SPEED)
        position = np.clip(position + velocity, self._LEFT, self._RIGHT)
        velocity[(position == self._LEFT) & (velocity < 0)] = 0.0
        terminated = (position >= self._GOAL) & (velocity >= 0.0)
        return np.stack([position, velocity], axis=-1), np.full(len(state), -1.0), terminated

    def observe(self, state: States) -> Observations:
        """Return the state in single precision."""
        return state.astype(np.float32)


class MountainCarContinuous(Dynamics):
    """MountainCarContinuous-v0: the same valley, a force of at most 1; the goal pays 100, a force its square / 10.

    Gymnasium keeps the state in single precision from the first step on, and mixes it with Python's numbers, so each
    line below rounds where Gymnasium's does. A state's third component is 1 until that first step.
    """

    state_size = 3

    _POWER: Final = 0.0015
    _GRAVITY: Final = 0.0025
    _LEFT: Final = np.float32(-1.2)
    _RIGHT: Final = np.float32(0.6)
    _GOAL: Final = np.float32(0.45)
    _MAX_SPEED: Final = np.float32(0.07)

    def initial(self, generator: np.random.Generator) -> States:
        """Return the position, uniform between -.6 and -.4, and a velocity of 0."""
        return np.array([generator.uniform(low=-0.6, high=-0.4), 0.0, 1.0])

    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the states a step later; the wall on the left stops the car, the goal on the right terminates."""
        position, velocity, first = columns(state)
        force, first = action[:, 0].astype(np.float32), first == 1.0
        push = self._push(force, self._slope(position, first))
        moved = velocity.astype(np.float32) + push.astype(np.float32)
        velocity = np.where(first, push, np.clip(moved, -self._MAX_SPEED, self._MAX_SPEED))
        moved = position.astype(np.float32) + velocity.astype(np.float32)
        position = np.where(first, position + velocity, np.clip(moved, self._LEFT, self._RIGHT))
        velocity[(position == self._LEFT) & (velocity < 0)] = 0.0
        terminated = (position >= self._GOAL) & (velocity >= 0.0)
        rewards = np.where(terminated, 100.0, 0.0) - np.square(force.astype(np.float64)) * 0.1
        single = np.stack([position, velocity], axis=-1).astype(np.float32)
        return np.pad(single.astype(np.float64), [(0, 0), (0, 1)]), rewards, terminated

    def observe(self, state: States) -> Observations:
        """Return position and velocity in single precision."""
        return state[:, :2].astype(np.float32)

    def _slope(self, position: Floats, first: Flags) -> Floats:
        tripled = np.where(first, 3 * position, 3 * position.astype(np.float32))
        return self._GRAVITY * cosine(tripled)

    def _push(self, force: Observations, slope: Floats) -> Floats:
        """Return the change of velocity; a force that is clipped becomes one of Python's numbers, a double."""
        within = force * np.float32(self._POWER) - slope.astype(np.float32)
        beyond = np.sign(force).astype(np.float64) * self._POWER - slope
        return np.where(np.abs(force) > 1.0, beyond, within)
