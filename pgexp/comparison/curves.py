"""Learning curves: evaluation return against steps, with an interval over seeds."""

from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import exclusions
from pgexp.schema import names
from pgexp.statistics.estimates import interquartile_mean
from pgexp.statistics.intervals import FloatArray, bootstrap_interval

COLUMNS: Final = ("environment", "configuration_name", "steps", "n", "iqm", "low", "high", "threshold")
POINTS: Final = 200  # more than a printed curve can show


def curve_frame(runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return each configuration's learning curve, a row a point, COLUMNS, from the frames of `frames`.

    Point by point, iqm is the interquartile mean over the n seeds that count and were evaluated, low and high
    its 95 % percentile bootstrap interval (absent for one seed). Returns that are not finite are passed over. A
    configuration whose seeds' evaluations have no stretch of steps in common has no curve. The threshold is the
    environment's own (absent where it has none), or the one given.
    """
    counted = runs[exclusions(runs) == ""]
    evaluations = metrics[(metrics["metric"] == names.EVALUATION_RETURN) & np.isfinite(metrics["value"])]
    curves = [pd.DataFrame(columns=list(COLUMNS))]
    for name, seeds in counted.groupby("configuration_name", sort=False):
        own = evaluations[evaluations["run_id"].isin(seeds["run_id"])].sort_values("steps")
        each = [(run["steps"].to_numpy(float), run["value"].to_numpy(float)) for _, run in own.groupby("run_id")]
        first = seeds.iloc[0]
        heading = {"environment": first["environment"], "configuration_name": name}
        limit = first["threshold"] if threshold is None else threshold
        curves.append(_curve(each).assign(**heading, threshold=limit))
    filled = [curve for curve in curves if not curve.empty]
    return pd.concat(filled or curves[:1], ignore_index=True)[list(COLUMNS)]


def on_common_steps(seeds: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Return a grid of steps ``[G]`` and each seed's values there ``[seeds, G]``, from its (steps, values).

    The seeds' own steps differ a little, since an evaluation waits for the end of an update. The grid is
    evenly spaced from the last seed's first evaluation to the first seed's last, so that every seed is
    present at every point and none is extrapolated; between its evaluations a seed is interpolated
    linearly. The grid has as many points as a seed has evaluations in the median, so that interpolation
    adds no detail. It is empty where the seeds' ranges have no step in common. A seed's steps must rise.
    """
    begin = max((steps[0] for steps, _ in seeds), default=1.0)
    end = min((steps[-1] for steps, _ in seeds), default=0.0)
    if begin > end:
        return np.empty(0), np.empty((len(seeds), 0))
    points = min(POINTS, int(np.median([steps.size for steps, _ in seeds])))
    grid = np.unique(np.linspace(begin, end, points))
    return grid, np.stack([np.interp(grid, steps, values) for steps, values in seeds])


def _curve(seeds: list[tuple[FloatArray, FloatArray]]) -> pd.DataFrame:
    grid, values = on_common_steps(seeds)
    bands = [bootstrap_interval(point, interquartile_mean) or (np.nan, np.nan) for point in values.T]
    low, high = np.array(bands).reshape(-1, 2).T
    iqm = interquartile_mean(values.T) if grid.size else grid
    return pd.DataFrame({"steps": grid, "n": len(seeds), "iqm": iqm, "low": low, "high": high})
