"""How fast configurations learn: steps to a threshold, and the area under the learning curve."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import NONFINITE, UNSCORED, exclusions
from pgexp.comparison.curves import evaluations_of, followed
from pgexp.statistics.area import area_under_curve
from pgexp.statistics.curves import Evaluations
from pgexp.statistics.estimating import estimate
from pgexp.statistics.survival import steps_over_seeds
from pgexp.statistics.thresholds import steps_to_threshold

COLUMNS: Final = (
    *("configuration_name", "threshold", "steps_to_threshold", "steps_to_threshold_low", "steps_to_threshold_high"),
    *("reached", "watched", "last_steps", "area", "area_low", "area_high", "area_from", "area_to"),
)


def speed(runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return a row a configuration, COLUMNS, from the runs and metrics as `frames` returns them.

    Of the `watched` seeds, those `curves.followed` that were evaluated or failed, `reached` came to the threshold;
    `steps_to_threshold` is the Kaplan-Meier median over seeds of the environment steps until the first such
    evaluation, with its 95 % interval. A seed that ended without it, interrupted say, is censored at its last
    evaluation, not left out. One that failed, or whose last score is not finite, will never get there: it counts as
    on its way for as long as any seed of its configuration was followed, since to censor it where it failed would
    take it for one that does as well as those that did not. Where the share that gets there stays below one half the
    median is absent, and lies beyond `last_steps`. The threshold is the environment's own (absent where it has none),
    or the one given.

    area is the interquartile mean over the seeds that count of the area under their evaluation curves, in the units
    of return, with its 95 % interval. Its range, area_from to area_to, is that which all seeds of the environment
    share; where they share none it is absent.
    """
    curves, reasons = evaluations_of(runs, metrics), exclusions(runs)
    counted = runs["run_id"][reasons == ""]
    watched = followed(runs)["run_id"]
    failed = runs["run_id"][reasons.isin([UNSCORED["FAILED"], NONFINITE])]
    going, lost = watched[~watched.isin(failed)], watched[watched.isin(failed)]
    rows = []
    for _, own in runs.groupby("environment", sort=False):
        shared = _shared(_of(own, counted, curves))
        for name, seeds in own.groupby("configuration_name", sort=False, observed=True):
            limit = float(seeds["threshold"].iloc[0]) if threshold is None else threshold
            steps = _steps(_of(seeds, going, curves), _of_lost(seeds, lost, curves), limit)
            rows.append({"configuration_name": name, **steps, **_area(_of(seeds, counted, curves), shared)})
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    whole = ("reached", "watched")
    return frame.astype(dict.fromkeys(whole, "Int64") | {name: float for name in COLUMNS[1:] if name not in whole})


def _of(runs: pd.DataFrame, chosen: "pd.Series[str]", curves: Mapping[str, Evaluations]) -> list[Evaluations]:
    """Return the curves of those of the runs that are chosen, by their ids, and have one."""
    return [curves[run] for run in runs["run_id"][runs["run_id"].isin(chosen)] if run in curves]


def _of_lost(runs: pd.DataFrame, lost: "pd.Series[str]", curves: Mapping[str, Evaluations]) -> list[Evaluations]:
    """Return the curves of those of the runs that are lost, without points where one failed before an evaluation."""
    return [curves.get(run, (np.empty(0), np.empty(0))) for run in runs["run_id"][runs["run_id"].isin(lost)]]


def _steps(going: list[Evaluations], lost: list[Evaluations], threshold: float) -> dict[str, float | None]:
    if np.isnan(threshold):
        return {}
    curves = [*going, *lost]
    if not any(steps.size for steps, _ in curves):
        return {"threshold": threshold, "reached": 0, "watched": 0}
    firsts = [steps_to_threshold(steps, returns, threshold) for steps, returns in curves]
    longest = max(float(steps[-1]) for steps, _ in curves if steps.size)
    found = steps_over_seeds(firsts, [*(float(steps[-1]) for steps, _ in going), *(longest for _ in lost)])
    ends = {"steps_to_threshold_low": found.low, "steps_to_threshold_high": found.high, "last_steps": found.followed}
    counts = {"reached": found.reached, "watched": found.n}
    return {"threshold": threshold, "steps_to_threshold": found.median, **ends, **counts}


def _shared(curves: list[Evaluations]) -> tuple[float, float]:
    """Return the range of steps that all curves cover; it is empty, its end not behind its begin, where none is."""
    begin = max((steps[0] for steps, _ in curves), default=0.0)
    return float(begin), float(min((steps[-1] for steps, _ in curves), default=0.0))


def _area(curves: list[Evaluations], shared: tuple[float, float]) -> dict[str, float | None]:
    begin, end = shared
    if not curves or begin >= end:
        return {}
    found = estimate([area_under_curve(steps, returns, begin, end) for steps, returns in curves], "iqm")
    return {"area": found.value, "area_low": found.low, "area_high": found.high, "area_from": begin, "area_to": end}
