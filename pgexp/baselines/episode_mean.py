"""Mean return of each episode itself."""

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns


class EpisodeMean(Baseline):
    """``b_e = mean of the returns-to-go over the steps of episode e`` itself.

    Many tutorials centre each episode's returns in this way. Biased: with equal rewards at each step, the gradient is
    halved, and an episode of one step contributes nothing. No cost. With the total return every advantage would be 0,
    so it supports reward-to-go only.
    """

    biased = True
    required_return_type = "reward_to_go"

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return each episode's mean at each of its steps, [S]."""
        return np.repeat(returns.sums / returns.counts, batch.lengths)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the means are of the current batch."""
        return {}
