"""What the evaluations of several seeds come to together: on common steps, their interquartile mean with its band."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgexp.statistics.estimates import FloatArray, interquartile_mean
from pgexp.statistics.trimmed import trimmed_t_band

POINTS: Final = 200  # more than a printed curve can show

Evaluations = tuple[FloatArray, FloatArray]
"""The steps of a run's evaluations, rising, and the returns there."""


class Band(NamedTuple):
    """A curve over seeds, each ``[G]``: n counts the seeds at a step, low and high are NaN where one alone is there."""

    steps: FloatArray
    n: NDArray[np.int64]
    iqm: FloatArray
    low: FloatArray
    high: FloatArray


def iqm_band(seeds: Sequence[Evaluations]) -> Band:
    """Return the interquartile mean of the seeds on common steps, with its 95 % trimmed-mean t interval."""
    grid, values = on_common_steps(seeds)
    there = ~np.isnan(values)
    iqm, low, high = np.full((3, grid.size), np.nan)
    for present in np.unique(there, axis=1).T:
        points = (there == present[:, None]).all(axis=0)
        sample = values[present][:, points].T
        iqm[points] = interquartile_mean(sample)
        if present.sum() > 1:
            low[points], high[points] = trimmed_t_band(sample)
    return Band(grid, there.sum(axis=0), iqm, low, high)


def on_common_steps(seeds: Sequence[Evaluations]) -> Evaluations:
    """Return a grid of steps ``[G]`` and each seed's values there ``[seeds, G]``, NaN where a seed is not there.

    The seeds' own steps differ a little, since an evaluation waits for the end of an update. The grid is evenly
    spaced, in whole steps, from the last seed's first evaluation to the first seed's last; seeds that begin late or
    end early by more than the evaluations' median distance do not shorten it. Between its evaluations a seed is
    interpolated linearly, and beyond them it is not there: none is extrapolated. The grid has as many points as a
    seed that is there throughout has evaluations in the median, so that interpolation adds no detail. It is empty
    where the seeds' ranges have no step in common. A seed's steps must rise.
    """
    apart = zip(seeds, _begins_late(seeds), ends_early(seeds), strict=True)
    throughout = [seed for seed, late, early in apart if not (late or early)]
    begin = max((steps[0] for steps, _ in throughout), default=1.0)
    end = min((steps[-1] for steps, _ in throughout), default=0.0)
    if begin > end:
        return np.empty(0), np.empty((len(seeds), 0))
    points = min(POINTS, int(np.median([steps.size for steps, _ in throughout])))
    grid = np.unique(np.linspace(begin, end, points).round())
    return grid, np.stack([np.interp(grid, steps, values, left=np.nan, right=np.nan) for steps, values in seeds])


def ends_early(seeds: Sequence[Evaluations]) -> list[bool]:
    """Return whether each seed ends before the last one by more than the evaluations are apart."""
    ends = [steps[-1] for steps, _ in seeds]
    least = max(ends, default=0.0) - _distance(seeds)
    return [bool(end < least) for end in ends]


def _begins_late(seeds: Sequence[Evaluations]) -> list[bool]:
    """Return whether each seed begins after the first one by more than the evaluations are apart."""
    begins = [steps[0] for steps, _ in seeds]
    most = min(begins, default=0.0) + _distance(seeds)
    return [bool(begin > most) for begin in begins]


def _distance(seeds: Sequence[Evaluations]) -> float:
    """Return the median of the steps from one evaluation to the next; infinity where no seed has two."""
    between = [distance for steps, _ in seeds for distance in np.diff(steps)]
    return float(np.median(between)) if between else np.inf
