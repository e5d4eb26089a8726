"""Which runs count in a comparison, which are missing, and what its reader is told of the others."""

from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.irregularities import Note, irregularities, listed
from pgexp.comparison.store import ComparisonError
from pgexp.schema import names

UNSCORED: Final = {
    "SCHEDULED": "not started",
    "RUNNING": "still running, or killed outright",
    "FAILED": "failed before the final evaluation",
    "KILLED": "interrupted before the final evaluation",
    "PRUNED": "pruned by the search",
    "FINISHED": "finished without a final evaluation",
}
NONFINITE: Final = "evaluated at the end with a return that is not finite"
REPEATED: Final = "repeated by a newer run of the same seed"
KINDS: Final = {
    UNSCORED["SCHEDULED"]: "not_started",
    UNSCORED["RUNNING"]: "running",
    UNSCORED["FAILED"]: "failed",
    UNSCORED["KILLED"]: "interrupted",
    UNSCORED["PRUNED"]: "pruned",
    UNSCORED["FINISHED"]: "unscored",
    NONFINITE: "nonfinite_score",
    REPEATED: "repeated",
}
"""The kind of the note on the runs that are left out for a reason."""


def exclusions(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return, for each run, why it is left out of the comparison; the empty text for a run that counts.

    A run counts if the return of its final evaluation is recorded and finite, however it ended. Of several such runs
    of one configuration and seed the newest alone counts: the same seed twice is no second observation.
    ComparisonError where two rows have one index, as frames have that were put together: which is meant is unclear.
    """
    if not runs.index.is_unique:
        raise ComparisonError("rows of the runs share an index: join frames by pandas.concat(..., ignore_index=True)")
    scored = pd.Series(np.isfinite(runs[names.FINAL_RETURN].to_numpy(float)), index=runs.index)
    newest_last = runs[scored].sort_values(["start", "run_id"])
    repeated = newest_last.index[newest_last.duplicated(["configuration", "seed"], keep="last")]
    evaluated = runs[[column for column in runs if str(column).startswith(f"{names.FINAL}/")]].notna().any(axis=1)
    reasons = runs["status"].map(UNSCORED).mask(evaluated, NONFINITE).mask(scored, "")
    reasons.loc[repeated] = REPEATED
    return reasons


def missing_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the seeds that a configuration has no run of, and others of its environment have.

    The columns are environment, configuration_name and seed. A run that is recorded is not missing, however it ended.
    """
    rows = []
    for environment, some in runs.groupby("environment", sort=False):
        every = set(some["seed"])
        for name, own in some.groupby("configuration_name", sort=False):
            rows += [(environment, name, seed) for seed in sorted(every - set(own["seed"]))]
    return pd.DataFrame(rows, columns=["environment", "configuration_name", "seed"])


def notes(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[Note]:
    """Return what the reader must know of the runs and their metrics: a sentence for each kind of irregularity."""
    reasons = exclusions(runs)
    counts = reasons == ""
    unread = counts & ~runs["run_id"].isin(list(metrics["run_id"].unique()))
    without = f"Without {names.METRICS_FILE}, so not in the curves nor the steps to the threshold"
    found = {(kind, f"Left out as {reason}"): reasons == reason for reason, kind in KINDS.items()}
    found["unfinished", "Counted though not marked as finished"] = counts & (runs["status"] != "FINISHED")
    found["no_table", without] = unread
    told = [
        Note(kind, f"{text}: {listed(runs[rows], len(runs))}.") for (kind, text), rows in found.items() if rows.any()
    ]
    return [*told, *_missing(runs), *irregularities(runs[counts], metrics)]


def _missing(runs: pd.DataFrame) -> list[Note]:
    missing = missing_runs(runs)
    text = "Missing, though other configurations have the seed"
    return [] if missing.empty else [Note("missing", f"{text}: {listed(missing)}.")]
