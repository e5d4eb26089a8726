"""The short corridor with switched actions."""

from typing import Final

import numpy as np

from pgexp.envs.dynamics.dynamics import Dynamics, States
from pgexp.functional.arrays import Actions, Flags, Floats, Observations


class ShortCorridor(Dynamics):
    """Three states in a row that look alike, right of them the goal; a step costs 1 (Sutton & Barto 2018, ex. 13.1).

    Action 0 goes left and 1 right, but the other way round in the second state; left of the first is a wall. Under
    the policy that goes right with probability p, in every state since it can't tell them apart, the return from the
    start is ``-(4 - 2 p) / (p (1 - p))`` on average, at most ``-(6 + 4 sqrt 2) = -11.66``, where p is ``2 - sqrt 2``.
    """

    state_size = 1

    _GOAL: Final = 3
    _STEPS: Final = np.array([[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]])  # by state and action

    def initial(self, generator: np.random.Generator) -> States:
        """Return the first state; there is no chance in it."""
        return np.zeros(1)

    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the states a step later; reaching the goal terminates."""
        place = state[:, 0].astype(np.int64)
        following = np.maximum(place + self._STEPS[place, action], 0.0)
        return following[:, None], np.full(len(state), -1.0), following == self._GOAL

    def observe(self, state: States) -> Observations:
        """Return 1 in every state."""
        return np.ones((len(state), 1), dtype=np.float32)
