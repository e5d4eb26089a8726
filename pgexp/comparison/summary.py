"""Summary of each configuration over its seeds: scores, failures, learning speed and performance profiles."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.curves import counted_once, evaluations_by_run
from pgexp.comparison.inclusion import NONFINITE, UNSCORED, exclusion_reasons
from pgexp.schema import names
from pgexp.statistics.estimation import Estimate, estimate
from pgexp.statistics.intervals import proportion_interval, tolerance_interval
from pgexp.statistics.learning_curves import Evaluations, area_under_curve
from pgexp.statistics.number_format import decimal_places
from pgexp.statistics.point_estimates import FloatArray
from pgexp.statistics.survival import median_steps_to_threshold, steps_to_threshold

SUMMARY_COLUMNS: Final = (
    *("environment", "configuration_name", "configuration", "n"),
    *("mean", "mean_low", "mean_high", "mean_method"),
    *("median", "median_low", "median_high", "median_method"),
    *("iqm", "iqm_low", "iqm_high", "iqm_method"),
    *("optimality_gap", "optimality_gap_low", "optimality_gap_high", "optimality_gap_method"),
    *("min", "max", "tolerance_low", "tolerance_high", "tolerance_confidence"),
    *("area", "area_low", "area_high", "area_from", "area_to"),
    *("ended", "failed", "collapsed", "failed_share", "failed_share_low", "failed_share_high"),
    *("threshold", "steps_to_threshold", "steps_to_threshold_low", "steps_to_threshold_high"),
    *("reached", "followed", "last_steps", "caveat"),
)
COLLAPSE_COLUMNS: Final = (
    *("environment", "configuration_name", "n", "failed", "collapsed", "share", "share_low", "share_high"),
)
SPEED_COLUMNS: Final = (
    *("configuration_name", "threshold", "steps_to_threshold", "steps_to_threshold_low", "steps_to_threshold_high"),
    *("reached", "followed", "last_steps", "area", "area_low", "area_high", "area_from", "area_to"),
)
PROFILE_COLUMNS: Final = ("environment", "configuration_name", "score", "share", "low", "high", "n")
FENCE: Final = 3.0  # interquartile ranges from the lower quartile to the outer fence
MARGIN: Final = 0.02  # of the range of scores, by which a profile exceeds it at both ends
_COUNTS: Final = ("n", "ended", "failed", "collapsed", "reached", "followed")
_TEXTS: Final = ("environment", "configuration_name", "configuration", "caveat")


def summary(
    runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None, collapsed: float | None = None
) -> pd.DataFrame:
    """Return a row per configuration, SUMMARY_COLUMNS, from the runs and metrics of `frames`.

    n is the number of seeds with a final score. mean, median and iqm are estimates of these scores, and optimality_gap
    is their mean shortfall from the threshold; each has its 95 % interval by the method of `estimate`. `caveat` limits
    those of iqm and mean. At least 90 % of all runs' scores are between tolerance_low and tolerance_high, with
    tolerance_confidence. `ended`, `failed`, `collapsed` and the shares are from `collapse` with the level `collapsed`.
    The other columns are from `learning_speed`. Unknown values are missing: NaN, or for a count NA.
    """
    counted = runs[exclusion_reasons(runs) == ""]
    scores = {
        str(name): own.to_numpy(float)
        for name, own in counted.groupby("configuration_name", observed=True)[names.FINAL_RETURN]
    }
    rows = []
    for name, run in runs.drop_duplicates("configuration_name").set_index("configuration_name", drop=False).iterrows():
        limit = float(run["threshold"]) if threshold is None else threshold
        identity = {column: run[column] for column in SUMMARY_COLUMNS[:3]}
        rows.append(identity | _estimates(scores.get(str(name), np.empty(0)), limit))
    frame = pd.DataFrame(rows)
    shares = {f"share{end}": f"failed_share{end}" for end in ("", "_low", "_high")}
    failures = collapse(runs, metrics, collapsed).drop(columns="environment").rename(columns={"n": "ended"} | shares)
    for other in (failures, learning_speed(runs, metrics, threshold)):
        frame = frame.merge(other, on="configuration_name", how="left")
    frame = frame.reindex(columns=list(SUMMARY_COLUMNS))
    texts = (*_TEXTS, *(name for name in SUMMARY_COLUMNS if name.endswith("_method")))
    numbers = [name for name in SUMMARY_COLUMNS if name not in (*_COUNTS, *texts)]
    return frame.astype(dict.fromkeys(_COUNTS, "Int64") | dict.fromkeys(numbers, float))


def summary_decimals(summary: pd.DataFrame) -> int:
    """Return the decimals of the returns in a table: those that show four digits of its largest estimate.

    Ends of intervals are ignored: over two seeds they may be a hundred times the estimate.
    """
    return decimal_places(summary[["iqm", "mean", "min", "max"]].to_numpy(float).ravel())


def collapse(runs: pd.DataFrame, metrics: pd.DataFrame, collapsed: float | None = None) -> pd.DataFrame:
    """Return how many runs of each configuration failed or collapsed: a row per configuration, COLLAPSE_COLUMNS.

    An interquartile mean hides such runs. n is the number of seeds that ended with a score or a failure. A seed failed
    if none of its runs has a finite score and one of them failed, or has a non-finite final return; interrupted and
    running ones do not count. share is (failed + collapsed) / n, share_low and share_high its exact 95 % binomial
    interval, absent for n = 0. `are_collapsed` defines collapsed runs.
    """
    reasons = exclusion_reasons(runs)
    scored = runs[reasons == ""]
    fell = are_collapsed(scored, metrics, collapsed)
    rows = []
    for name, own in runs.groupby("configuration_name", sort=False):
        mine = scored[scored["configuration_name"] == name]
        broken = own[(own["status"] == "FAILED") | (reasons.loc[own.index] == NONFINITE)]
        failed, count = len(set(broken["seed"]) - set(mine["seed"])), int(fell.loc[mine.index].sum())
        n = len(mine) + failed
        share = ((failed + count) / n, *proportion_interval(failed + count, n)) if n else (np.nan,) * 3
        rows.append((own["environment"].iloc[0], name, n, failed, count, *share))
    return pd.DataFrame(rows, columns=list(COLLAPSE_COLUMNS))


def are_collapsed(scored: pd.DataFrame, metrics: pd.DataFrame, level: float | None = None) -> "pd.Series[bool]":
    """Return which of the scored runs collapsed: those at or below a level, or without one, the outliers.

    A run collapsed if its score (1) is below the outer fence of its configuration's scores, Q1 - 3 (Q3 - Q1) with
    linearly interpolated quartiles (Tukey 1977, Exploratory Data Analysis, 2C), and (2) is less than half way up from
    the configuration's median first evaluation to its median score. By (1) it differs from the other seeds. By (2) it
    is also bad: if most seeds reach the highest possible return, the interquartile range is 0 and a seed just below is
    beyond any fence. Without an evaluation before the end the first training return replaces it, and without that only
    (1) applies.

    With four seeds or fewer no score is beyond the fence, and if a quarter of the seeds or more collapse, the quartiles
    collapse with them: then inspect the scores, or set a level. Normal samples have a score below the fence in 8 % of
    cases with 5 seeds, 3 % with 10, 1 % with 20 and .6 % with 30. (2) removes all of these if the first evaluations are
    10 deviations below the scores, and for up to 20 seeds most of them at 6 deviations. Scores with a long lower tail
    (mirrored lognormal) have true outliers: 27 % of samples of 5 have one below the fence, and 66 % of samples of 30
    (analysis/error_rates).
    """
    scores = scored[names.FINAL_RETURN]
    if level is not None:
        return scores <= level
    by_configuration = scores.groupby(scored["configuration"])
    lower, median, upper = (by_configuration.transform("quantile", share) for share in (0.25, 0.5, 0.75))
    start = _first_returns(scored, metrics).groupby(scored["configuration"]).transform("median")
    half_way = ((start + median) / 2).fillna(np.inf)
    return (scores < lower - FENCE * (upper - lower)) & (scores < half_way)


def learning_speed(runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return how fast configurations learn: a row per configuration, SPEED_COLUMNS, from the frames of `frames`.

    Of the `followed` seeds (`curves.counted_once`) that were evaluated or failed, `reached` reached the threshold.
    `steps_to_threshold` is the Kaplan-Meier median over seeds of the environment steps until the first such evaluation,
    with its 95 % interval. A seed that ended without it, for example interrupted, is censored at its last evaluation. A
    seed that failed, or whose final return is not finite, will never reach the threshold: it is at risk for as long as
    any seed of its configuration was followed, since censoring it at its failure would treat it like the others. If
    less than half reach the threshold, the median is absent and larger than `last_steps`. The threshold is the
    environment's own (absent if it has none), or `threshold`.

    area is the interquartile mean over the seeds that count of the area under their evaluation curves, in units of
    return, with its 95 % interval. Its range, area_from to area_to, is the one that all seeds of the environment share;
    without one the area is absent.
    """
    curves, reasons = evaluations_by_run(runs, metrics), exclusion_reasons(runs)
    scored = runs["run_id"][reasons == ""]
    followed = counted_once(runs)["run_id"]
    failed = runs["run_id"][reasons.isin([UNSCORED["FAILED"], NONFINITE])]
    alive, lost = followed[~followed.isin(failed)], followed[followed.isin(failed)]
    rows = []
    for _, own in runs.groupby("environment", sort=False):
        every = _curves_of(own, scored, curves)
        begin = float(max((steps[0] for steps, _ in every), default=0.0))
        end = float(min((steps[-1] for steps, _ in every), default=0.0))
        for name, seeds in own.groupby("configuration_name", sort=False, observed=True):
            limit = float(seeds["threshold"].iloc[0]) if threshold is None else threshold
            # A run that failed before its first evaluation has a curve without points.
            broken = [
                curves.get(run, (np.empty(0), np.empty(0))) for run in seeds["run_id"][seeds["run_id"].isin(lost)]
            ]
            steps = _steps(_curves_of(seeds, alive, curves), broken, limit)
            rows.append({"configuration_name": name, **steps, **_area(_curves_of(seeds, scored, curves), begin, end)})
    frame = pd.DataFrame(rows, columns=list(SPEED_COLUMNS))
    counts = ("reached", "followed")
    return frame.astype(
        dict.fromkeys(counts, "Int64") | {name: float for name in SPEED_COLUMNS[1:] if name not in counts}
    )


def performance_profiles(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each configuration's performance profile, PROFILE_COLUMNS: the share of runs above each score.

    share is that of the configuration's n counted runs with a final return above the score. It is a step function that
    falls at the runs' own scores, which are its rows, with one below the environment's lowest score and one above its
    highest. low and high are the exact 95 % interval of the share at that score. Scores that are not finite are left
    out; a configuration without any has no profile.

    Sources: Dolan and More 2002; Agarwal et al. 2021, arXiv:2108.13264, section 4.2.
    """
    counted = runs[(exclusion_reasons(runs) == "") & np.isfinite(runs[names.FINAL_RETURN])]
    parts = [pd.DataFrame(columns=list(PROFILE_COLUMNS))]
    for environment, own in counted.groupby("environment", sort=False, observed=True):
        lowest, highest = own[names.FINAL_RETURN].min(), own[names.FINAL_RETURN].max()
        margin = MARGIN * (highest - lowest) or MARGIN * abs(highest) or MARGIN
        for name, scores in own.groupby("configuration_name", sort=False, observed=True)[names.FINAL_RETURN]:
            at, n = np.unique([lowest - margin, *scores, highest + margin]), len(scores)
            above = (scores.to_numpy(float)[:, None] > at).sum(axis=0)
            low, high = np.array([proportion_interval(int(count), n) for count in above]).T
            heading = {"environment": environment, "configuration_name": name, "score": at}
            parts.append(pd.DataFrame({**heading, "share": above / n, "low": low, "high": high, "n": n}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _estimates(scores: FloatArray, threshold: float) -> dict[str, object]:
    if scores.size == 0:
        return {"n": 0, "caveat": ""}
    found = {name: estimate(scores, name) for name in ("mean", "median", "iqm")}
    if not np.isnan(threshold):
        found["optimality_gap"] = estimate(scores, "optimality_gap", target=threshold)
    columns: dict[str, object] = {"n": scores.size, "min": float(scores.min()), "max": float(scores.max())}
    for name, one in found.items():
        columns |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high, f"{name}_method": one.method}
    tolerance = tolerance_interval(scores)
    if tolerance is not None:
        columns |= {f"tolerance_{end}": getattr(tolerance, end) for end in ("low", "high", "confidence")}
    return columns | {"caveat": _caveat(found["iqm"], found["mean"])}


def _caveat(iqm: Estimate, mean: Estimate) -> str:
    """Return the caveats of both estimates that tables show, each with the estimate's name."""
    if iqm.caveat == mean.caveat:
        return iqm.caveat and f"IQM and mean: {iqm.caveat}"
    return " ".join(f"{name}: {of.caveat}" for name, of in (("IQM", iqm), ("mean", mean)) if of.caveat)


def _first_returns(runs: pd.DataFrame, metrics: pd.DataFrame) -> "pd.Series[float]":
    """Return each run's first evaluation, otherwise its first training return, otherwise NaN."""
    first = pd.Series(np.nan, index=runs.index)
    for metric in (names.EVALUATION_RETURN, names.RETURN_MEAN):
        own = metrics.loc[metrics["metric"] == metric, ["run_id", "steps", "value"]]
        earliest = own.sort_values("steps", kind="stable").drop_duplicates("run_id")
        values = dict(zip(earliest["run_id"], earliest["value"], strict=True))
        first = first.fillna(runs["run_id"].map(values).astype(float))
    return first


def _curves_of(runs: pd.DataFrame, ids: "pd.Series[str]", curves: Mapping[str, Evaluations]) -> list[Evaluations]:
    """Return the curves of the runs with these ids, if they have one."""
    return [curves[run] for run in runs["run_id"][runs["run_id"].isin(ids)] if run in curves]


def _steps(alive: list[Evaluations], lost: list[Evaluations], threshold: float) -> dict[str, float | None]:
    if np.isnan(threshold):
        return {}
    curves = [*alive, *lost]
    if not any(steps.size for steps, _ in curves):
        return {"threshold": threshold, "reached": 0, "followed": 0}
    firsts = [steps_to_threshold(steps, returns, threshold) for steps, returns in curves]
    longest = max(float(steps[-1]) for steps, _ in curves if steps.size)
    found = median_steps_to_threshold(firsts, [*(float(steps[-1]) for steps, _ in alive), *(longest for _ in lost)])
    return {
        "threshold": threshold,
        "steps_to_threshold": found.median,
        "steps_to_threshold_low": found.low,
        "steps_to_threshold_high": found.high,
        "last_steps": found.followed,
        "reached": found.reached,
        "followed": found.n,
    }


def _area(curves: list[Evaluations], begin: float, end: float) -> dict[str, float | None]:
    if not curves or begin >= end:
        return {}
    found = estimate([area_under_curve(steps, returns, begin, end) for steps, returns in curves], "iqm")
    return {"area": found.value, "area_low": found.low, "area_high": found.high, "area_from": begin, "area_to": end}
