"""What the seeds of a configuration come to together."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pgexp.schema import names
from pgexp.statistics.curves import iqm_band
from pgexp.statistics.estimating import estimate


def over_seeds(scores: Sequence[float], failed: int) -> dict[str, float]:
    """Return the metrics of a configuration's run from its seeds' final returns, and how many seeds failed.

    They are what pgexp-compare shows, the interval of the interquartile mean included. What the scores do not tell is
    absent: all but the counts without a score, the interval with a single one.
    """
    metrics: dict[str, float] = {names.SEEDS: len(scores), names.SEEDS_FAILED: failed}
    if scores:
        iqm = estimate(scores, "iqm")
        metrics |= {names.SEEDS_IQM: iqm.value, names.SEEDS_MEAN: float(np.mean(scores))}
        if iqm.low is not None and iqm.high is not None:
            metrics |= {names.SEEDS_LOW: iqm.low, names.SEEDS_HIGH: iqm.high}
    return metrics


def curve_over_seeds(seeds: Sequence[Mapping[int, float]]) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the points of a configuration's learning curve, as pgexp-compare draws it: steps, and metrics there.

    A seed is its evaluation returns by their steps. The interval is absent where one seed alone is there, and there is
    no point where the seeds have no steps in common.
    """
    rising = [sorted(seed.items()) for seed in seeds if seed]
    band = iqm_band([(steps, returns) for steps, returns in (np.array(seed, float).T for seed in rising)])
    for steps, _, *values in zip(*band, strict=True):
        named = zip((names.CURVE_IQM, names.CURVE_LOW, names.CURVE_HIGH), map(float, values), strict=True)
        yield int(steps), {name: value for name, value in named if math.isfinite(value)}
