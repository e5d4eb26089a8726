"""Constant of least variance."""

from typing import ClassVar

import numpy as np

from pgexp.baselines.baseline import Baseline, PerEpisodeGradients
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.returns import starts


class OptimalConstant(Baseline):
    """``b* = E[<U, S>] / E[|S|^2]``, with S = sum_t grad log pi and U = sum_t G_t grad log pi of an episode.

    Among constants, b* minimises the variance of the gradient ``U - b S``; with the total return R it is
    ``E[R |S|^2] / E[|S|^2]`` (Greensmith, Bartlett & Baxter 2004; Peters & Schaal 2008). Each episode's b* is computed
    from the batch's other episodes, hence it is unbiased. It is clipped to the range of their returns, because the
    ratio is unstable if their gradients almost cancel; it is 0 if their gradients are 0. It costs each episode's
    gradient twice. A factor gamma^t (`discount_states`) is ignored.
    """

    biased = False
    min_episodes: ClassVar = {"reward_to_go": 2, "total_return": 2}

    def __init__(self, per_episode_gradients: PerEpisodeGradients) -> None:
        self._gradients = per_episode_gradients

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return each episode's constant at each of its steps, [S]."""
        plain = self._gradients(batch, np.ones(batch.steps))
        weighted = self._gradients(batch, returns.per_step)
        products = _combine_others(np.add, (weighted * plain).sum(1), 0.0)
        squares = _combine_others(np.add, (plain * plain).sum(1), 0.0)
        ratio = np.divide(products, squares, out=np.zeros(len(squares)), where=squares > 0)
        begin = starts(batch.lengths)
        least = _combine_others(np.minimum, np.minimum.reduceat(returns.per_step, begin), np.inf)
        most = _combine_others(np.maximum, np.maximum.reduceat(returns.per_step, begin), -np.inf)
        return np.repeat(np.where(squares > 0, np.clip(ratio, least, most), 0.0), batch.lengths)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the constants are of the current batch."""
        return {}


def _combine_others(combine: np.ufunc, x: Floats, neutral: float) -> Floats:
    """Return the reduction of all elements but each one, [E].

    It does not subtract an element from the total, so that not even rounding depends on the episode itself.
    """
    before = np.append(neutral, combine.accumulate(x[:-1]))
    after = np.append(combine.accumulate(x[:0:-1])[::-1], neutral)
    found: Floats = combine(before, after)
    return found
