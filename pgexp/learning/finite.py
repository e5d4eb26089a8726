"""Finds what an environment gave that is no finite number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgexp.functional.batch import Batch
from pgexp.learning.algorithm import DivergenceError


def nonfinite(batch: Batch) -> DivergenceError | None:
    """Return why a run can't learn from a batch: the first observation or reward in it that is not finite, if any."""
    if _is_finite(batch.rewards) and _is_finite(batch.observations):
        return None
    seen = np.asarray(~np.isfinite(batch.observations).all(1))
    step = int(np.argmax(seen | ~np.isfinite(batch.rewards)))
    given = told(batch.observations[step]) if seen[step] else f"a reward of {batch.rewards[step]}"
    episode = int(np.searchsorted(np.cumsum(batch.lengths), step, side="right"))
    where = f"at step {batch.times[step]} of episode {batch.numbers[episode]} in slot {batch.slots[episode]}"
    return DivergenceError(f"the environment gave {given} {where}, each counted from 0")


def told(observation: NDArray[Any]) -> str:
    """Return a few words for an observation, [O], that is not finite."""
    return f"an observation that holds {observation[~np.isfinite(observation)][0]}"


def _is_finite(values: NDArray[Any]) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())
