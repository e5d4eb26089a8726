"""What tuning in each environment gains over one setting for all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.blocks import resampled_means
from pgexp.statistics.intervals import FloatArray, Interval

LOW, HIGH = 5, 95  # percentiles


class Tuning(NamedTuple):
    """Normalised scores: tuned in each environment, of the one setting that is best over all, and the difference."""

    tuned: float
    fixed: float
    sensitivity: float
    interval: Interval | None
    best: int  # the setting of `fixed`


def hyperparameter_sensitivity(
    tables: Sequence[ArrayLike], own: Sequence[Sequence[int]], level: float = 0.95, resamples: int = 2_000
) -> Tuning:
    """Return how much a method's performance rests on its being tuned in each environment anew.

    tables has ``[rows, seeds]`` scores of each environment, NaN where absent: the rows are the configurations of all
    methods that are compared. own has, of each environment, the rows of the method's settings, in the same order.
    With G(e, h) the mean score of setting h in environment e, scaled so that the 5th and the 95th percentile of the
    environment's rows are 0 and 1::

        tuned = mean_e max_h G(e, h)        fixed = max_h mean_e G(e, h)        sensitivity = tuned - fixed >= 0

    In an environment whose two percentiles are equal G is 0. The interval is a percentile bootstrap over seeds, in
    each environment on its own, equal seeds of all its rows drawn together; None where an environment has one seed.
    A maximum of noisy means is too large, most so the one of each environment: with few seeds the sensitivity is
    overstated, and an interval above 0 alone is no proof of it.

    Source: Adkins, Bowling & White 2024, "A method for evaluating hyperparameter sensitivity in reinforcement
    learning", arXiv:2412.07165. ValueError as `blocks.mean_of_rows`.
    """
    means = [resampled_means(table, resamples, seed) for seed, table in enumerate(tables)]
    plain = [np.nanmean(np.asarray(table, dtype=np.float64), axis=1) for table in tables]
    tuned, fixed, best = _tuned([each[None] for each in plain], own)
    found = _tuned(means, own)
    interval = None
    if min(np.shape(table)[1] for table in tables) > 1:
        low, high = np.quantile(found[0] - found[1], [(1 - level) / 2, (1 + level) / 2])
        interval = Interval(float(low), float(high))
    return Tuning(float(tuned[0]), float(fixed[0]), float(tuned[0] - fixed[0]), interval, int(best[0]))


def _tuned(
    means: Sequence[FloatArray], own: Sequence[Sequence[int]]
) -> tuple[FloatArray, FloatArray, np.ndarray[tuple[int, ...], np.dtype[np.intp]]]:
    """Return, of means ``[samples, rows]`` a sample's tuned and fixed score, and the setting of the latter."""
    scaled = np.stack([_scaled(each)[:, rows] for each, rows in zip(means, own, strict=True)], axis=1)
    average = scaled.mean(axis=1)
    return scaled.max(axis=2).mean(axis=1), average.max(axis=1), average.argmax(axis=1)


def _scaled(means: FloatArray) -> FloatArray:
    low, high = np.percentile(means, [LOW, HIGH], axis=1)[:, :, None]
    wide = high > low
    scaled: FloatArray = np.where(wide, (means - low) / np.where(wide, high - low, 1.0), 0.0)
    return scaled
