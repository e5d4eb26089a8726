"""Tolerance intervals: where the scores of most runs lie, those still to come included."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.intervals import checked


class ToleranceInterval(NamedTuple):
    """An interval that holds a share `content` of all runs' scores, in their units.

    `confidence` is the probability, over samples, that it does. `next_score` is the probability that the score of one
    further run falls inside.
    """

    low: float
    high: float
    content: float
    confidence: float
    next_score: float


def tolerance_interval(scores: ArrayLike, content: float = 0.9, level: float = 0.95) -> ToleranceInterval | None:
    """Return the narrowest pair of order statistics that holds a share of all scores at that level; None for one score.

    With the scores sorted, it is [x_r, x_{n-r+1}] for the largest r whose confidence is `level` or more. The share of
    all scores inside has a beta distribution with n - 2 r + 1 and 2 r as its parameters, whatever continuous
    distribution the scores have, so that::

        confidence = P(Beta(n - 2 r + 1, 2 r) >= content)    next_score = (n - 2 r + 1) / (n + 1)

    Where not even the lowest and the highest score reach the level they are the interval, and its confidence, which
    is then below the level, must be told with it: at a content of .9, .95 takes 46 scores, and 10 give .26. For scores
    with ties both probabilities are at least these.

    Source: Wilks 1941, Annals of Mathematical Statistics 12, 91-96. ValueError for scores that are not a vector of one
    or more finite numbers, and for a content or level outside (0, 1).
    """
    from scipy.special import betainc

    sample = np.sort(checked(scores, level))
    if not 0 < content < 1:
        raise ValueError(f"content is a share strictly between 0 and 1, not {content}")
    n = sample.size
    if n == 1:
        return None
    ranks = np.arange(1, n // 2 + 1)
    confidences = 1 - betainc(n - 2 * ranks + 1, 2 * ranks, content)
    r = max(1, int((confidences >= level).sum()))
    ends = float(sample[r - 1]), float(sample[n - r])
    return ToleranceInterval(*ends, content, float(confidences[r - 1]), (n - 2 * r + 1) / (n + 1))
