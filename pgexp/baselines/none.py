"""No baseline."""

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit


class NoBaseline(Baseline):
    """``b = 0``: the plain REINFORCE estimate (Williams 1992). Unbiased; free; the variance all others are held to."""

    biased = False

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return zeros, [S]."""
        return np.zeros(batch.steps)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing."""
        return {}
