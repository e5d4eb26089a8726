"""The other episodes' mean at each time."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit


class LeaveOneOutPerStep(Baseline):
    """``b_t = sum over the other K - 1 episodes of their return-to-go at time t / (K - 1)``, 0 after an episode's end.

    Leave-one-out (Kool, van Hoof & Welling 2019) at each time by itself. Unbiased, since neither the others nor t
    depend on the action; free. That ended episodes count 0, which is their return from then on, keeps the divisor from
    depending on how long episodes live. The total return has no time, so it is for reward-to-go alone.
    """

    biased = False
    least_episodes: ClassVar = {"reward_to_go": 2}
    only_credit = "reward_to_go"
    whole_episodes = True

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the others' mean at each step's time, [S]; of an episode alone, 0."""
        times = batch.times
        others = np.bincount(times, credit.of_steps)[times] - credit.of_steps
        return (others / max(len(batch.lengths) - 1, 1)).astype(np.float64)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the means are of the batch at hand."""
        return {}
