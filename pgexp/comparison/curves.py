"""Learning curves: evaluation return against steps, with an interval over seeds."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import REPEATED, exclusions
from pgexp.comparison.irregularities import LISTED
from pgexp.comparison.labels import thousands
from pgexp.schema import names
from pgexp.statistics.curves import Evaluations, ends_early, iqm_band

COLUMNS: Final = ("environment", "configuration_name", "steps", "n", "iqm", "low", "high", "threshold")


def curve_frame(runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return each configuration's learning curve, a row a point, COLUMNS, from the frames of `frames`.

    Point by point, iqm is the interquartile mean over the n seeds that were evaluated before and after, low and
    high its 95 % trimmed-mean t interval (absent for one seed). A run that ended early counts as far as it came, so
    that n falls along the curve, and what comes after is of the others alone: `early_ends` names such runs. Of runs
    with equal seeds the newest counts, before it one with a score. Returns that are not finite are passed over. A
    configuration whose seeds' evaluations have no stretch of steps in common has no curve. The threshold is the
    environment's own (absent where it has none), or the one given.
    """
    evaluations = evaluations_of(runs, metrics)
    curves = [pd.DataFrame(columns=list(COLUMNS))]
    for name, seeds in followed(runs).groupby("configuration_name", sort=False, observed=True):
        first = seeds.iloc[0]
        heading = {"environment": first["environment"], "configuration_name": name}
        limit = first["threshold"] if threshold is None else threshold
        each = [evaluations[run] for run in seeds["run_id"] if run in evaluations]
        curves.append(pd.DataFrame(iqm_band(each)._asdict()).assign(**heading, threshold=limit))
    filled = [curve for curve in curves if not curve.empty]
    return pd.concat(filled or curves[:1], ignore_index=True)[list(COLUMNS)]


def early_ends(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return what the reader of the curves must know of runs that ended before others of their configuration."""
    evaluations = evaluations_of(runs, metrics)
    found = []
    for name, seeds in followed(runs).groupby("configuration_name", sort=False, observed=True):
        here = seeds[seeds["run_id"].isin(list(evaluations))]
        each = [evaluations[run] for run in here["run_id"]]
        last = max((steps[-1] for steps, _ in each), default=0.0)
        for seed, (steps, _), early in zip(here["seed"], each, ends_early(each), strict=True):
            if early:
                found.append(f"{name} seed {seed} at {thousands(steps[-1])} of {thousands(last)} steps")
    if not found:
        return []
    listed = found[:LISTED] + ([f"and {len(found) - LISTED} more"] if len(found) > LISTED else [])
    what = "1 run" if len(found) == 1 else f"{len(found)} runs"
    return [f"Ended before the others, so in the learning curves up to there: {what} ({', '.join(listed)})."]


def followed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose evaluations are in the curves: all, but one alone of each configuration and seed.

    A failed run counts in them, though it has no final score: without it the curve would be of those that were
    going to succeed.
    """
    once = runs[exclusions(runs) != REPEATED]
    order = once.assign(scored=once[names.FINAL_RETURN].notna()).sort_values(["scored", "start", "run_id"])
    newest = order.drop_duplicates(["configuration", "seed"], keep="last").index
    return once[once.index.isin(newest)]


def evaluations_of(runs: pd.DataFrame, metrics: pd.DataFrame) -> Mapping[str, Evaluations]:
    """Return the finite evaluations of each run that has some, by its id."""
    rows = metrics[(metrics["metric"] == names.EVALUATION_RETURN).to_numpy(bool) & np.isfinite(metrics["value"])]
    rows = rows[rows["run_id"].isin(runs["run_id"])].sort_values("steps")
    return {
        str(run): (own["steps"].to_numpy(float), own["value"].to_numpy(float))
        for run, own in rows.groupby("run_id", sort=False, observed=True)
    }
