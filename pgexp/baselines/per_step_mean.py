"""The batch's mean at each time."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit


class PerStepMean(Baseline):
    """``b_t = mean of the credits at time t`` over the batch's episodes that have a step at t, its own included.

    The time-variant baseline of Peters & Schaal (2008), without their weights. Biased, since a step's own
    return is in it: the advantage of whoever lives longest is 0 where nobody else is left. Free.
    """

    biased = True
    least_episodes: ClassVar = {"reward_to_go": 2, "total_return": 2}  # of one episode every advantage is 0

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the mean at each step's time, [S]."""
        times = batch.times
        return (np.bincount(times, credit.of_steps)[times] / np.bincount(times)[times]).astype(np.float64)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the means are of the batch at hand."""
        return {}
