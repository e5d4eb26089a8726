"""Sample efficiency: what a configuration scores over several environments after so many steps."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.curves import COLUMNS, evaluations_of, followed
from pgexp.comparison.tasks import settings
from pgexp.statistics.curves import Evaluations, on_common_steps
from pgexp.statistics.intervals import FloatArray
from pgexp.statistics.tasks import estimate_over_tasks

POINTS: Final = 25  # each takes a bootstrap


def sample_efficiency(runs: pd.DataFrame, metrics: pd.DataFrame, scale: pd.DataFrame) -> pd.DataFrame:
    """Return each configuration's learning curve over all environments, a row a point, `curves.COLUMNS`.

    A configuration is what is left of the names without the environment (`tasks.settings`). Evaluation returns are
    normalised by environment, to 0 at low and 1 at high of the scale (columns environment, low and high); iqm is the
    interquartile mean of all environments' seeds, low and high its 95 % interval (`estimate_over_tasks`), n the
    number of seeds that are there. The steps are those that all environments of a configuration have: a longer
    one's later steps are not shown. Runs count as in `curves.curve_frame`. A configuration without evaluations on
    every environment has no curve; with one environment there is none at all. The threshold is absent.

    Source: Agarwal et al. 2021, arXiv:2108.13264, figure 8. KeyError where the scale lacks an environment.
    """
    counted, evaluations = followed(runs), evaluations_of(runs, metrics)
    counted = counted[counted["run_id"].isin(list(evaluations))]
    tasks = counted["environment"].nunique()
    called = counted["configuration_name"].astype(str).map(settings(runs))
    curves = [pd.DataFrame(columns=list(COLUMNS))]
    for name, own in counted.groupby(called, sort=False) if tasks > 1 else ():
        by_task = [
            [evaluations[run] for run in task["run_id"]]
            for _, task in own.groupby("environment", sort=False, observed=True)
        ]
        if len(by_task) == tasks:
            ends = scale.set_index("environment").loc[own["environment"].astype(str).unique()]
            curve = _curve(by_task, ends["low"].to_numpy(float), ends["high"].to_numpy(float))
            curves.append(curve.assign(environment=f"{tasks} environments", configuration_name=name, threshold=np.nan))
    filled = [curve for curve in curves if not curve.empty]
    return pd.concat(filled or curves[:1], ignore_index=True)[list(COLUMNS)]


def _curve(by_task: list[list[Evaluations]], low: FloatArray, high: FloatArray) -> pd.DataFrame:
    """Return the points of one configuration from the evaluations of each seed of each task, and the tasks' scales."""
    grids = [on_common_steps(task)[0] for task in by_task]
    begin, end = (
        max(grid[0] if grid.size else np.inf for grid in grids),
        min(grid[-1] if grid.size else 0 for grid in grids),
    )
    if begin > end:
        return pd.DataFrame()
    steps = np.unique(np.linspace(begin, end, min(POINTS, *(grid.size for grid in grids))).round())
    values = [
        (np.stack([np.interp(steps, *seed, left=np.nan, right=np.nan) for seed in task]) - zero) / (one - zero)
        for task, zero, one in zip(by_task, low, high, strict=True)
    ]
    return pd.DataFrame([_point(at, [task[:, place] for task in values]) for place, at in enumerate(steps)])


def _point(steps: float, tasks: list[FloatArray]) -> Mapping[str, float | None]:
    there = [task[~np.isnan(task)] for task in tasks]
    found = estimate_over_tasks(there, "iqm")
    ends = {"low": np.nan if found.low is None else found.low, "high": np.nan if found.high is None else found.high}
    return {"steps": steps, "n": sum(task.size for task in there), "iqm": found.value, **ends}
