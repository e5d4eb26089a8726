"""Mean of the other episodes."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns


class LeaveOneOut(Baseline):
    """``b_e = mean of the returns of the batch's other episodes`` at every step of episode e.

    With reward-to-go the mean over all steps of the others; with the total return over the other K - 1 episodes (Mnih
    & Rezende 2016; Kool, van Hoof & Welling 2019, RLOO). Unbiased, because the others are independent of the episode;
    no cost. It needs at least two episodes; in a segment with one episode b = 0, which is unbiased too.
    """

    biased = False
    min_episodes: ClassVar = {"reward_to_go": 2, "total_return": 2}

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return each episode's baseline at each of its steps, [S]."""
        counts = returns.counts.sum() - returns.counts
        others = (returns.sums.sum() - returns.sums) / np.maximum(counts, 1)
        return np.repeat(np.where(counts > 0, others, 0.0), batch.lengths)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the means are of the current batch."""
        return {}
