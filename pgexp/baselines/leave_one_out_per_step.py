"""Mean of the other episodes at each time."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns


class LeaveOneOutPerStep(Baseline):
    """``b_t = sum over the other K - 1 episodes of their return-to-go at time t / (K - 1)``, 0 after an episode's end.

    Leave-one-out (Kool, van Hoof & Welling 2019) at each time. Unbiased, because neither the others nor t depend on the
    action; no cost. An ended episode counts as 0, its return from then on, so that the divisor does not depend on the
    episodes' lengths. The total return does not depend on t, so it supports reward-to-go only.
    """

    biased = False
    min_episodes: ClassVar = {"reward_to_go": 2}
    required_return_type = "reward_to_go"
    requires_whole_episodes = True

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return the others' mean at each step's time, [S]; 0 for a single episode."""
        times = batch.times
        others = np.bincount(times, returns.per_step)[times] - returns.per_step
        return (others / max(len(batch.lengths) - 1, 1)).astype(np.float64)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the means are of the current batch."""
        return {}
