"""Mean of the batch at each time."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns


class PerStepMean(Baseline):
    """``b_t = mean of the returns at time t`` over the batch's episodes that have a step at t, including its own.

    The time-variant baseline of Peters & Schaal (2008), without their weights. Biased, because it includes the step's
    own return: the advantage is 0 at times that a single episode reaches. No cost.
    """

    biased = True
    min_episodes: ClassVar = {"reward_to_go": 2, "total_return": 2}  # with one episode every advantage is 0

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return the mean at each step's time, [S]."""
        times = batch.times
        return (np.bincount(times, returns.per_step)[times] / np.bincount(times)[times]).astype(np.float64)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the means are of the current batch."""
        return {}
