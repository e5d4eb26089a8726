"""The mean of the other episodes."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit


class LeaveOneOut(Baseline):
    """``b_e = mean of the credits of the batch's other episodes`` for every step of episode e.

    With reward-to-go the mean over all steps of the others; with the total return over the other K - 1 episodes (Mnih
    & Rezende 2016; Kool, van Hoof & Welling 2019, RLOO). Unbiased, since the others are independent of the episode;
    free. It takes at least two episodes; where a segment holds but one, b = 0, which is unbiased too.
    """

    biased = False
    least_episodes: ClassVar = {"reward_to_go": 2, "total_return": 2}

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return each episode's baseline at each of its steps, [S]."""
        counts = credit.counts.sum() - credit.counts
        others = (credit.sums.sum() - credit.sums) / np.maximum(counts, 1)
        return np.repeat(np.where(counts > 0, others, 0.0), batch.lengths)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the means are of the batch at hand."""
        return {}
