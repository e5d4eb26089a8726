"""Mean of the batch."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns


class BatchMean(Baseline):
    """``b = mean of the batch's returns``, including the step's own.

    With reward-to-go the mean over all steps of the batch; with the total return the mean over its K episodes
    (Greensmith, Bartlett & Baxter 2004 call it the average-reward baseline). Biased, because it includes the step's own
    return: with the total return the gradient is scaled by exactly 1 - 1/K. No cost.
    """

    biased = True
    min_episodes: ClassVar = {"reward_to_go": 1, "total_return": 2}  # with one total return the advantage is 0

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return the mean for every step, [S]."""
        return np.full(batch.steps, returns.sums.sum() / returns.counts.sum())

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the mean is of the current batch."""
        return {}
