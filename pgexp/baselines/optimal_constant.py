"""The constant of least variance."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline, Scores
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.returns import starts


class OptimalConstant(Baseline):
    """``b* = E[<U, S>] / E[|S|^2]``, S the sum of an episode's scores, U their sum weighed with the credits.

    Of all constants it leaves the gradient ``U - b S`` the least variance: with the total return R it is
    ``E[R |S|^2] / E[|S|^2]`` (Greensmith, Bartlett & Baxter 2004; Peters & Schaal 2008). Each episode has its own,
    from the sums over the batch's other episodes: hence it is unbiased. It is cut to within the others' credits, since
    the ratio runs wild where the scores of a few episodes all but cancel, and is 0 where they have none. It costs each
    episode's gradient twice. A factor gamma^t (`discount_states`) is left aside.
    """

    biased = False
    least_episodes: ClassVar = {"reward_to_go": 2, "total_return": 2}

    def __init__(self, scores: Scores) -> None:
        self._scores = scores

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return each episode's constant at each of its steps, [S]."""
        plain = self._scores(batch, np.ones(batch.steps))
        weighed = self._scores(batch, credit.of_steps)
        products = _of_others(np.add, (weighed * plain).sum(1), 0.0)
        squares = _of_others(np.add, (plain * plain).sum(1), 0.0)
        ratio = np.divide(products, squares, out=np.zeros(len(squares)), where=squares > 0)
        begin = starts(batch.lengths)
        least = _of_others(np.minimum, np.minimum.reduceat(credit.of_steps, begin), np.inf)
        most = _of_others(np.maximum, np.maximum.reduceat(credit.of_steps, begin), -np.inf)
        return np.repeat(np.where(squares > 0, np.clip(ratio, least, most), 0.0), batch.lengths)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the constants are of the batch at hand."""
        return {}


def _of_others(combine: np.ufunc, x: Floats, nothing: float) -> Floats:
    """Return what all but each combine to, [E]. Nothing is subtracted, so not even rounding tells of an episode."""
    before = np.append(nothing, combine.accumulate(x[:-1]))
    after = np.append(combine.accumulate(x[:0:-1])[::-1], nothing)
    found: Floats = combine(before, after)
    return found
