"""The summary: what each configuration scored over its seeds, with intervals, a row a configuration."""

from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.collapse import collapse
from pgexp.comparison.counting import exclusions
from pgexp.comparison.speed import speed
from pgexp.schema import names
from pgexp.statistics.digits import decimals
from pgexp.statistics.estimating import Estimate, estimate
from pgexp.statistics.intervals import FloatArray
from pgexp.statistics.tolerance import tolerance_interval

COLUMNS: Final = (
    *("environment", "configuration_name", "configuration", "n"),
    *("mean", "mean_low", "mean_high", "mean_method"),
    *("median", "median_low", "median_high", "median_method"),
    *("iqm", "iqm_low", "iqm_high", "iqm_method"),
    *("optimality_gap", "optimality_gap_low", "optimality_gap_high", "optimality_gap_method"),
    *("min", "max", "tolerance_low", "tolerance_high", "tolerance_confidence"),
    *("area", "area_low", "area_high", "area_from", "area_to"),
    *("tried", "failed", "collapsed", "failed_share", "failed_share_low", "failed_share_high"),
    *("threshold", "steps_to_threshold", "steps_to_threshold_low", "steps_to_threshold_high"),
    *("reached", "watched", "last_steps", "caveat"),
)
RENAMED: Final = {
    "n": "tried",
    "share": "failed_share",
    "share_low": "failed_share_low",
    "share_high": "failed_share_high",
}
WHOLE: Final = ("n", "tried", "failed", "collapsed", "reached", "watched")
TEXTS: Final = ("environment", "configuration_name", "configuration", "caveat")


def summary(
    runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None, collapsed: float | None = None
) -> pd.DataFrame:
    """Return a row a configuration, COLUMNS, from the runs and metrics as `frames` returns them.

    n counts the seeds with a final score. mean, median and iqm are of those scores, and optimality_gap is how far
    they stay below the threshold; each has its 95 % interval, of the method that `estimate` chooses. `caveat` is
    what limits those of iqm and mean. Of all runs' scores at least 90 % lie from tolerance_low to tolerance_high,
    with tolerance_confidence. Of the runs tried, some failed or collapsed, as `collapse` counts them by the level
    `collapsed`, if one is given. The rest is `speed`'s. What can't be said is missing: NaN, or for a count NA.
    """
    counted = runs[exclusions(runs) == ""]
    scores = {
        str(name): own.to_numpy(float)
        for name, own in counted.groupby("configuration_name", observed=True)[names.FINAL_RETURN]
    }
    first = runs.drop_duplicates("configuration_name").set_index("configuration_name", drop=False)
    rows = []
    for name, run in first.iterrows():
        limit = float(run["threshold"]) if threshold is None else threshold
        identity = {column: run[column] for column in COLUMNS[:3]}
        rows.append(identity | _scores(scores.get(str(name), np.empty(0)), limit))
    frame = pd.DataFrame(rows)
    lost = collapse(runs, metrics, collapsed).drop(columns="environment").rename(columns=RENAMED)
    for further in (lost, speed(runs, metrics, threshold)):
        frame = frame.merge(further, on="configuration_name", how="left")
    return _typed(frame.reindex(columns=list(COLUMNS)))


def places(summary: pd.DataFrame) -> int:
    """Return how many decimals the returns of a table have: those that show four digits of its largest estimate.

    Ends of intervals do not count: over two seeds they are a hundred times the estimate, and would take its decimals.
    """
    return decimals(summary[["iqm", "mean", "min", "max"]].to_numpy(float).ravel())


def _scores(scores: FloatArray, threshold: float) -> dict[str, object]:
    if scores.size == 0:
        return {"n": 0, "caveat": ""}
    found = {name: estimate(scores, name) for name in ("mean", "median", "iqm")}
    if not np.isnan(threshold):
        found["optimality_gap"] = estimate(scores, "optimality_gap", target=threshold)
    columns: dict[str, object] = {}
    for name, one in found.items():
        columns |= _named(name, one)
    extremes = {"n": scores.size, "min": float(scores.min()), "max": float(scores.max())}
    return columns | extremes | _tolerance(scores) | {"caveat": _caveat(found["iqm"], found["mean"])}


def _named(name: str, found: Estimate) -> dict[str, object]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_method": found.method}


def _caveat(iqm: Estimate, mean: Estimate) -> str:
    """Return what limits the two estimates that tables show, each sentence led by which it is of."""
    if iqm.caveat == mean.caveat:
        return iqm.caveat and f"IQM and mean: {iqm.caveat}"
    return " ".join(f"{name}: {of.caveat}" for name, of in (("IQM", iqm), ("mean", mean)) if of.caveat)


def _tolerance(scores: FloatArray) -> dict[str, float]:
    found = tolerance_interval(scores)
    if found is None:
        return {}
    return {"tolerance_low": found.low, "tolerance_high": found.high, "tolerance_confidence": found.confidence}


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    methods = [name for name in COLUMNS if name.endswith("_method")]
    numbers = [name for name in COLUMNS if name not in (*WHOLE, *TEXTS, *methods)]
    return frame.astype(dict.fromkeys(WHOLE, "Int64") | dict.fromkeys(numbers, float))
