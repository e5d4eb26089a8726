"""Which runs count in a comparison, and what its reader is told of the others."""

from typing import Final

import pandas as pd

from pgexp.schema import names

UNSCORED: Final = {
    "SCHEDULED": "not started",
    "RUNNING": "still running, or killed outright",
    "FAILED": "failed before the final evaluation",
    "KILLED": "interrupted before the final evaluation",
    "FINISHED": "finished without a final evaluation",
}
REPEATED: Final = "repeated by a newer run of the same seed"
LISTED: Final = 5  # runs that a note names before it only counts them


def exclusions(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return, for each run, why it is left out of the comparison; the empty text for a run that counts.

    A run counts if its final evaluation is recorded, however it ended. Of several such runs of one
    configuration and seed the newest alone counts: the same seed twice is no second observation.
    """
    scored = runs[names.FINAL_RETURN].notna()
    newest_last = runs[scored].sort_values(["start", "run_id"])
    repeated = newest_last.index[newest_last.duplicated(["configuration", "seed"], keep="last")]
    reasons = runs["status"].map(UNSCORED).mask(scored, "")
    reasons.loc[repeated] = REPEATED
    return reasons


def notes(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return what the table's reader must know of the runs: a sentence for each kind of irregularity."""
    reasons = exclusions(runs)
    counts = reasons == ""
    kinds = {f"Left out as {reason}": reasons == reason for reason in (*UNSCORED.values(), REPEATED)}
    kinds["Counted though not marked as finished"] = counts & (runs["status"] != "FINISHED")
    unread = counts & ~runs["run_id"].isin(metrics["run_id"])
    kinds[f"Without {names.METRICS_FILE}, so not in the curves nor the steps to the threshold"] = unread
    return [f"{what}: {_listed(runs[rows], len(runs))}." for what, rows in kinds.items() if rows.any()]


def _listed(some: pd.DataFrame, total: int) -> str:
    """Return ``2 of 30 runs (a seed 0, b seed 3)``."""
    pairs = zip(some["configuration_name"], some["seed"], strict=True)
    which = [f"{name} seed {seed}" for name, seed in pairs]
    more = [f"and {len(which) - LISTED} more"] if len(which) > LISTED else []
    return f"{len(some)} of {total} runs ({', '.join(which[:LISTED] + more)})"
