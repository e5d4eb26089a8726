"""How long learning takes: the steps until a return is reached."""

import numpy as np
from numpy.typing import ArrayLike


def steps_to_threshold(steps: ArrayLike, returns: ArrayLike, threshold: float) -> int | None:
    """Return the first evaluated step whose return reaches the threshold, or None where none does.

    steps ``[n]`` are environment steps in any order, returns ``[n]`` the evaluation returns there; a NaN
    reaches nothing. Later evaluations may fall below the threshold again. ValueError where the shapes differ.
    """
    at, reached = np.asarray(steps), np.asarray(returns, dtype=np.float64) >= threshold
    if at.shape != reached.shape or at.ndim != 1:
        raise ValueError(f"one return for each step, not steps {at.shape} and returns {reached.shape}")
    return int(at[reached].min()) if reached.any() else None
