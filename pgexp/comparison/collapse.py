"""Runs that failed or collapsed: an interquartile mean hides them, so they are counted by themselves."""

from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import NONFINITE, exclusions
from pgexp.schema import names
from pgexp.statistics.proportions import proportion_interval

COLUMNS: Final = ("environment", "configuration_name", "n", "failed", "collapsed", "share", "share_low", "share_high")
FENCE: Final = 3.0  # interquartile ranges from the lower quartile to the outer fence


def collapse(runs: pd.DataFrame, metrics: pd.DataFrame, collapsed: float | None = None) -> pd.DataFrame:
    """Return how many runs of each configuration failed or collapsed: a row a configuration, COLUMNS.

    n counts the seeds that came to a result: a score, or a failure. A seed failed if none of its runs has a finite
    score and one of them failed, or ended with a return that is not finite; what was interrupted, or still runs,
    says nothing. share is (failed + collapsed) / n, share_low and share_high its exact 95 % binomial interval;
    where n is 0 they are absent. Which runs collapsed is said by `are_collapsed`.
    """
    reasons = exclusions(runs)
    scored = runs[reasons == ""]
    fell = are_collapsed(scored, metrics, collapsed)
    rows = []
    for name, own in runs.groupby("configuration_name", sort=False):
        mine = scored[scored["configuration_name"] == name]
        broken = own[(own["status"] == "FAILED") | (reasons.loc[own.index] == NONFINITE)]
        failed = len(set(broken["seed"]) - set(mine["seed"]))
        heading = (own["environment"].iloc[0], name)
        rows.append((*heading, *_share(len(mine) + failed, failed, int(fell.loc[mine.index].sum()))))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def are_collapsed(scored: pd.DataFrame, metrics: pd.DataFrame, level: float | None = None) -> "pd.Series[bool]":
    """Return which of the scored runs collapsed: at or below a level, or, without one, by their like.

    A run collapsed if its score (1) lies below the outer fence of its configuration's scores, Q1 - 3 (Q3 - Q1) with
    quartiles interpolated linearly (Tukey 1977, Exploratory Data Analysis, 2C), and (2) is less than half way up from
    the configuration's median first evaluation to its median score. (1) says that it is not of the others' kind, (2)
    that it also did badly: where most seeds reach the highest return there is, their interquartile range is 0, and a
    seed just below would be beyond any fence. Where no evaluation was made before the end, the first return of
    training stands for it, and without that (1) alone decides.

    With four seeds or fewer no score can lie beyond the fence, and where a quarter of the seeds or more collapse,
    the quartiles go with them: then the scores themselves show it, and a level that is given counts them. Normal
    samples have a score below the fence in 8 % of the cases with 5 seeds, 3 % with 10, 1 % with 20 and .6 % with 30.
    (2) clears them all where the first evaluations lie 10 deviations below the scores, and most of those with up to 20
    seeds at 6 deviations. Of scores with a long lower tail (lognormal, upside down) some are far from their like: 27 %
    of the samples of 5 have one below the fence, and 66 % of those of 30 (analysis/comparing).
    """
    scores = scored[names.FINAL_RETURN]
    if level is not None:
        return scores <= level
    of_configuration = scores.groupby(scored["configuration"])
    lower, median, upper = (of_configuration.transform("quantile", share) for share in (0.25, 0.5, 0.75))
    start = _first(scored, metrics).groupby(scored["configuration"]).transform("median")
    half_way = ((start + median) / 2).fillna(np.inf)
    return (scores < lower - FENCE * (upper - lower)) & (scores < half_way)


def _first(runs: pd.DataFrame, metrics: pd.DataFrame) -> "pd.Series[float]":
    """Return each run's first evaluation, or its first return of training, or NaN."""
    first = pd.Series(np.nan, index=runs.index)
    for metric in (names.EVALUATION_RETURN, names.RETURN_MEAN):
        own = metrics.loc[metrics["metric"] == metric, ["run_id", "steps", "value"]]
        earliest = own.sort_values("steps", kind="stable").drop_duplicates("run_id")
        values = dict(zip(earliest["run_id"], earliest["value"], strict=True))
        first = first.fillna(runs["run_id"].map(values).astype(float))
    return first


def _share(n: int, failed: int, collapsed: int) -> tuple[float, ...]:
    if n == 0:
        return (n, failed, collapsed, np.nan, np.nan, np.nan)
    interval = proportion_interval(failed + collapsed, n)
    return (n, failed, collapsed, (failed + collapsed) / n, interval.low, interval.high)
