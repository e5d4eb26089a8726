"""Learning curves over seeds, on one environment and across environments (sample efficiency)."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.across_environments import names_without_environment
from pgexp.comparison.inclusion import MAX_LISTED, REPEATED, exclusion_reasons
from pgexp.schema import names
from pgexp.statistics.estimation import estimate_across_environments
from pgexp.statistics.learning_curves import Evaluations, ends_early, iqm_band, on_common_steps
from pgexp.statistics.number_format import short_number
from pgexp.statistics.point_estimates import FloatArray

CURVE_COLUMNS: Final = ("environment", "configuration_name", "steps", "n", "iqm", "low", "high", "threshold")
MAX_POINTS: Final = 25  # of a curve across environments; each needs a bootstrap


def curve_frame(runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return each configuration's learning curve, a row per point, CURVE_COLUMNS, from the frames of `frames`.

    At each step, iqm is the interquartile mean over the n seeds that were evaluated before and after it, low and high
    its 95 % trimmed-mean t interval (absent for one seed). A run that ended early counts up to its end, so n falls
    along the curve; `early_end_notes` names such runs. Of runs with equal seeds the newest counts, preferably one with
    a score. Returns that are not finite are left out. A configuration whose seeds' evaluations have no common range of
    steps has no curve. The threshold is the environment's own (absent if it has none), or `threshold`.
    """
    evaluations = evaluations_by_run(runs, metrics)
    curves = []
    for name, seeds in counted_once(runs).groupby("configuration_name", sort=False, observed=True):
        first = seeds.iloc[0]
        limit = first["threshold"] if threshold is None else threshold
        band = iqm_band([evaluations[run] for run in seeds["run_id"] if run in evaluations])
        heading = {"environment": first["environment"], "configuration_name": name}
        curves.append(pd.DataFrame(band._asdict()).assign(**heading, threshold=limit))
    return join_frames(curves, CURVE_COLUMNS)


def sample_efficiency(runs: pd.DataFrame, metrics: pd.DataFrame, scale: pd.DataFrame) -> pd.DataFrame:
    """Return each configuration's learning curve across all environments, a row per point, CURVE_COLUMNS.

    A configuration is identified by its name without the environment (`names_without_environment`). Evaluation returns
    are normalised per environment, to 0 at low and 1 at high of the scale (columns environment, low and high). iqm is
    the interquartile mean of all environments' seeds, low and high its 95 % interval (`estimate_across_environments`),
    n the number of seeds. The steps are those that all environments of a configuration have. Runs count as in
    `curve_frame`. A configuration without evaluations on every environment has no curve; with one environment there is
    none. The threshold is absent.

    Source: Agarwal et al. 2021, arXiv:2108.13264, figure 8. Raises KeyError if the scale lacks an environment.
    """
    counted, evaluations = counted_once(runs), evaluations_by_run(runs, metrics)
    counted = counted[counted["run_id"].isin(list(evaluations))]
    environments = counted["environment"].nunique()
    called = counted["configuration_name"].astype(str).map(names_without_environment(runs))
    curves = []
    for name, own in counted.groupby(called, sort=False) if environments > 1 else ():
        seeds = [
            [evaluations[run] for run in some["run_id"]]
            for _, some in own.groupby("environment", sort=False, observed=True)
        ]
        if len(seeds) == environments:
            ends = scale.set_index("environment").loc[own["environment"].astype(str).unique()]
            curve = _curve_across(seeds, ends["low"].to_numpy(float), ends["high"].to_numpy(float))
            heading = {"environment": f"{environments} environments", "configuration_name": name}
            curves.append(curve.assign(**heading, threshold=np.nan))
    return join_frames(curves, CURVE_COLUMNS)


def early_end_notes(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return a note on the runs that ended before others of their configuration."""
    evaluations = evaluations_by_run(runs, metrics)
    found = []
    for name, seeds in counted_once(runs).groupby("configuration_name", sort=False, observed=True):
        own = seeds[seeds["run_id"].isin(list(evaluations))]
        each = [evaluations[run] for run in own["run_id"]]
        last = max((steps[-1] for steps, _ in each), default=0.0)
        for seed, (steps, _), early in zip(own["seed"], each, ends_early(each), strict=True):
            if early:
                found.append(f"{name} seed {seed} at {short_number(steps[-1])} of {short_number(last)} steps")
    if not found:
        return []
    listed = found[:MAX_LISTED] + ([f"and {len(found) - MAX_LISTED} more"] if len(found) > MAX_LISTED else [])
    number = "1 run" if len(found) == 1 else f"{len(found)} runs"
    return [f"Ended before the others, so in the learning curves up to their end: {number} ({', '.join(listed)})."]


def counted_once(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose evaluations are in the curves: one per configuration and seed.

    A failed run counts, although it has no final score: without it the curve would be that of successful seeds.
    """
    once = runs[exclusion_reasons(runs) != REPEATED]
    order = once.assign(scored=once[names.FINAL_RETURN].notna()).sort_values(["scored", "start", "run_id"])
    newest = order.drop_duplicates(["configuration", "seed"], keep="last").index
    return once[once.index.isin(newest)]


def evaluations_by_run(runs: pd.DataFrame, metrics: pd.DataFrame) -> Mapping[str, Evaluations]:
    """Return the finite evaluations of each run that has some, by its id."""
    return finite_series(runs, metrics, names.EVALUATION_RETURN)


def finite_series(runs: pd.DataFrame, metrics: pd.DataFrame, metric: str) -> Mapping[str, Evaluations]:
    """Return the steps and finite values of a metric of each run that has some, by its id."""
    rows = metrics[(metrics["metric"] == metric).to_numpy(bool) & np.isfinite(metrics["value"])]
    rows = rows[rows["run_id"].isin(runs["run_id"])].sort_values("steps", kind="stable")
    return {
        str(run): (own["steps"].to_numpy(float), own["value"].to_numpy(float))
        for run, own in rows.groupby("run_id", sort=False, observed=True)
    }


def join_frames(frames: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the frames that are not empty, one below the other, with these columns."""
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled or [pd.DataFrame(columns=list(columns))], ignore_index=True)[list(columns)]


def _curve_across(environments: list[list[Evaluations]], low: FloatArray, high: FloatArray) -> pd.DataFrame:
    """Return the points of one configuration from the evaluations of each seed of each environment."""
    grids = [on_common_steps(seeds)[0] for seeds in environments]
    begin = max(grid[0] if grid.size else np.inf for grid in grids)
    end = min(grid[-1] if grid.size else 0 for grid in grids)
    if begin > end:
        return pd.DataFrame()
    steps = np.unique(np.linspace(begin, end, min(MAX_POINTS, *(grid.size for grid in grids))).round())
    values = [
        (np.stack([np.interp(steps, *seed, left=np.nan, right=np.nan) for seed in seeds]) - zero) / (one - zero)
        for seeds, zero, one in zip(environments, low, high, strict=True)
    ]
    points = []
    for place, at in enumerate(steps):
        present = [own[:, place][~np.isnan(own[:, place])] for own in values]
        found = estimate_across_environments(present, "iqm")
        ends = {"low": np.nan if found.low is None else found.low, "high": np.nan if found.high is None else found.high}
        points.append({"steps": at, "n": sum(own.size for own in present), "iqm": found.value, **ends})
    return pd.DataFrame(points)
