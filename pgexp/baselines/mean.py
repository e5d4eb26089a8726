"""The mean of the batch."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit


class BatchMean(Baseline):
    """``b = mean of the batch's credits``, a step's own included.

    With reward-to-go the mean over all steps of the batch; with the total return the mean over its K episodes
    (Greensmith, Bartlett & Baxter 2004 call it the average-reward baseline). Biased, since a step's own return is in
    it: with the total return the gradient is scaled by exactly 1 - 1/K. Free.
    """

    biased = True
    least_episodes: ClassVar = {"reward_to_go": 1, "total_return": 2}  # of one total return the advantage is 0

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the one mean for every step, [S]."""
        return np.full(batch.steps, credit.sums.sum() / credit.counts.sum())

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the mean is of the batch at hand."""
        return {}
