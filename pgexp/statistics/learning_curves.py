"""Learning curves: seeds on common steps, the interquartile mean with its band, and the area under a curve."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgexp.statistics.intervals import trimmed_t_band
from pgexp.statistics.point_estimates import FloatArray, interquartile_mean

MAX_POINTS: Final = 200  # more than a printed curve can show

Evaluations = tuple[FloatArray, FloatArray]
"""The steps of a run's evaluations, increasing, and the returns there."""


class CurveBand(NamedTuple):
    """A curve over seeds, each ``[G]``: n is the number of seeds at a step, low and high are NaN for one seed."""

    steps: FloatArray
    n: NDArray[np.int64]
    iqm: FloatArray
    low: FloatArray
    high: FloatArray


def iqm_band(seeds: Sequence[Evaluations]) -> CurveBand:
    """Return the interquartile mean of the seeds on common steps, with its 95 % trimmed-mean t interval."""
    grid, values = on_common_steps(seeds)
    present = ~np.isnan(values)
    iqm, low, high = np.full((3, grid.size), np.nan)
    for pattern in np.unique(present, axis=1).T:
        points = (present == pattern[:, None]).all(axis=0)
        sample = values[pattern][:, points].T
        iqm[points] = interquartile_mean(sample)
        if pattern.sum() > 1:
            low[points], high[points] = trimmed_t_band(sample)
    return CurveBand(grid, present.sum(axis=0), iqm, low, high)


def on_common_steps(seeds: Sequence[Evaluations]) -> Evaluations:
    """Return a grid of steps ``[G]`` and each seed's values ``[seeds, G]``, NaN outside of a seed's range.

    Steps differ slightly between seeds, since an evaluation waits for the end of an update. The grid is evenly spaced,
    in whole steps, from the latest first evaluation to the earliest last one; seeds that begin late or end early by
    more than the median distance of evaluations do not shorten it. Values are interpolated linearly and never
    extrapolated. The number of points is the median number of evaluations of the seeds that cover the grid. The grid is
    empty if the seeds have no step in common.
    """
    whole = [
        seed
        for seed, late, early in zip(seeds, _begins_late(seeds), ends_early(seeds), strict=True)
        if not (late or early)
    ]
    begin = max((steps[0] for steps, _ in whole), default=1.0)
    end = min((steps[-1] for steps, _ in whole), default=0.0)
    if begin > end:
        return np.empty(0), np.empty((len(seeds), 0))
    points = min(MAX_POINTS, int(np.median([steps.size for steps, _ in whole])))
    grid = np.unique(np.linspace(begin, end, points).round())
    return grid, np.stack([np.interp(grid, steps, values, left=np.nan, right=np.nan) for steps, values in seeds])


def ends_early(seeds: Sequence[Evaluations]) -> list[bool]:
    """Return whether each seed ends before the last one by more than the median distance of evaluations."""
    ends = [steps[-1] for steps, _ in seeds]
    least = max(ends, default=0.0) - _median_distance(seeds)
    return [bool(end < least) for end in ends]


def area_under_curve(steps: ArrayLike, returns: ArrayLike, low: float, high: float) -> float:
    """Return the mean height of a learning curve from `low` to `high` steps, in the units of return.

    steps ``[n]`` are increasing, returns ``[n]`` are interpolated linearly. The area within the range, exact by the
    trapezoidal rule, is divided by the range's length, so that runs with different evaluation steps are comparable.

    Raises ValueError if the curve does not cover the range, the range is empty, the steps do not increase, or a value
    is not finite.
    """
    at, heights = np.asarray(steps, dtype=np.float64), np.asarray(returns, dtype=np.float64)
    if at.shape != heights.shape or at.ndim != 1:
        raise ValueError(f"steps and returns must be vectors of equal length (got {at.shape} and {heights.shape})")
    if not (np.isfinite(heights).all() and np.isfinite(at).all() and (np.diff(at) > 0).all()):
        raise ValueError("a curve must have finite returns at increasing steps")
    if at.size == 0 or not at[0] <= low < high <= at[-1]:
        reach = f"[{at[0]:g}, {at[-1]:g}]" if at.size else "no steps"
        raise ValueError(f"the curve must cover [{low:g}, {high:g}] (it covers {reach})")
    within = np.concatenate([[low], at[(at > low) & (at < high)], [high]])
    return float(np.trapezoid(np.interp(within, at, heights), within) / (high - low))


def _begins_late(seeds: Sequence[Evaluations]) -> list[bool]:
    """Return whether each seed begins after the first one by more than the median distance of evaluations."""
    begins = [steps[0] for steps, _ in seeds]
    most = min(begins, default=0.0) + _median_distance(seeds)
    return [bool(begin > most) for begin in begins]


def _median_distance(seeds: Sequence[Evaluations]) -> float:
    """Return the median number of steps between evaluations; infinity if no seed has two."""
    distances = [distance for steps, _ in seeds for distance in np.diff(steps)]
    return float(np.median(distances)) if distances else np.inf
