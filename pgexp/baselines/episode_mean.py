"""Each episode's own mean."""

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit


class EpisodeMean(Baseline):
    """``b_e = mean of the returns-to-go over the steps of episode e`` itself.

    What many tutorials do: they centre each episode's returns. Biased: where each step pays the same, the mean is half
    the episode's return and half a step more, and the gradient is halved; from an episode of one step nothing is
    learnt. Free. With the total return every advantage would be 0, so it is for reward-to-go alone.
    """

    biased = True
    only_credit = "reward_to_go"

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return each episode's mean at each of its steps, [S]."""
        return np.repeat(credit.sums / credit.counts, batch.lengths)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the means are of the batch at hand."""
        return {}
