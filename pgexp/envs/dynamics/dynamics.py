"""What dynamics written for arrays are, for environments whose own stepping would be the bottleneck.

Each equals Gymnasium's environment of the same id bit for bit: same first states from the same seed, same states,
observations, rewards and ends. So where Gymnasium calls a scalar routine whose last bit is not the array routine's,
that scalar routine is called for each element.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pgexp.functional.arrays import Actions, Flags, Floats, Observations

States = Floats
Real = TypeVar("Real", np.float32, np.float64)


class Dynamics(ABC):
    """A transition function over M rows; a row's result depends on that row alone."""

    state_size: ClassVar[int]

    @abstractmethod
    def initial(self, generator: np.random.Generator) -> States:
        """Return the first state, [D], of an episode."""

    @abstractmethod
    def step(self, state: States, action: Actions) -> tuple[States, Floats, Flags]:
        """Return the next states, [M, D], the rewards and whether each terminated, [M].

        action: [M], counted from 0, or [M, A] where it is continuous.
        """

    @abstractmethod
    def observe(self, state: States) -> Observations:
        """Return the observations, [M, O]."""


def columns(state: States) -> Floats:
    """Return the states' components, [D, M], each in one piece of memory."""
    return np.ascontiguousarray(state.T)


def cosine(x: Floats) -> Floats:
    """Return ``math.cos`` of each element."""
    return np.array([math.cos(value) for value in x.tolist()])


def squared(x: NDArray[Real]) -> NDArray[Real]:
    """Return ``x ** 2`` as it is of NumPy's scalars: by the power routine, which is not ``x * x`` in the last bit."""
    return np.array([value**2 for value in x], dtype=x.dtype)
