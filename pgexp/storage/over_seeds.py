"""What the seeds of a configuration come to together."""

from collections.abc import Sequence

import numpy as np

from pgexp.schema import names
from pgexp.statistics.estimates import interquartile_mean
from pgexp.statistics.intervals import bootstrap_interval


def over_seeds(scores: Sequence[float], failed: int) -> dict[str, float]:
    """Return the metrics of a configuration's run from its seeds' final returns, and how many seeds failed.

    With the scores in the order of their seeds, which the bootstrap depends on, they are what pgexp-compare shows. What
    the scores do not tell is absent: all but the counts without a score, the interval with a single one.
    """
    metrics: dict[str, float] = {names.SEEDS: len(scores), names.SEEDS_FAILED: failed}
    if scores:
        metrics[names.SEEDS_IQM] = float(interquartile_mean(scores))
        metrics[names.SEEDS_MEAN] = float(np.mean(scores))
        if (interval := bootstrap_interval(scores, interquartile_mean)) is not None:
            metrics |= {names.SEEDS_LOW: interval.low, names.SEEDS_HIGH: interval.high}
    return metrics
