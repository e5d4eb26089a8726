"""No baseline."""

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns


class NoBaseline(Baseline):
    """``b = 0``: the plain REINFORCE estimate (Williams 1992). Unbiased; no cost; usually the largest variance."""

    biased = False

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return zeros, [S]."""
        return np.zeros(batch.steps)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing."""
        return {}
