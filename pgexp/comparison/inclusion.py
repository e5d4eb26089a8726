"""Inclusion of runs in a comparison: exclusion reasons, imputed scores of failed runs, and consistency checks."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.schema import names
from pgexp.schema.errors import UserError

UNSCORED: Final = {
    "SCHEDULED": "not started",
    "RUNNING": "still running, or killed without a trace",
    "FAILED": "failed before the final evaluation",
    "KILLED": "interrupted before the final evaluation",
    "PRUNED": "pruned by the search",
    "FINISHED": "finished without a final evaluation",
}
NONFINITE: Final = "final return is not finite"
REPEATED: Final = "repeated by a newer run with the same seed"
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
"""The kind of the note for each exclusion reason."""
MAX_LISTED: Final = 5  # runs that a note lists by name
MAX_LENGTH_DIFFERENCE: Final = 0.01  # share of the length: the last update may exceed the budget
BUDGET: Final = "param.budget.steps"
EVERY: Final = "param.evaluation.every"
FINAL_SETTINGS: Final = ("param.evaluation.greedy", "param.evaluation.final_episodes")
ENVIRONMENT_SETTINGS: Final = ("param.env.kwargs", "param.env.wrappers", "param.env.max_episode_steps")
_COLUMNS: Final = ("environment", "code", "dirty", "nonfinite", BUDGET, EVERY, *FINAL_SETTINGS)


class Note(str):
    """A sentence for the reader of a comparison, with a word for the kind of irregularity."""

    __slots__ = ("kind",)
    kind: str

    def __new__(cls, kind: str, text: str) -> "Note":
        """Return the sentence with its kind."""
        note = super().__new__(cls, text)
        note.kind = kind
        return note

    def __reduce__(self) -> tuple[type["Note"], tuple[str, str]]:
        """Support pickling and copying."""
        return Note, (self.kind, str(self))


def exclusion_reasons(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return why each run is excluded from the comparison, "" for a run that counts.

    A run counts if the return of its final evaluation is recorded and finite, with any status. If several such runs
    have the same configuration and seed, only the newest counts: a repeated seed is not a second observation. Raises
    UserError if the index is not unique, as after joining frames.
    """
    if not runs.index.is_unique:
        raise UserError.at(
            "runs", "the index of the runs must be unique: join frames by pd.concat(..., ignore_index=True)"
        )
    scored = pd.Series(np.isfinite(runs[names.FINAL_RETURN].to_numpy(float)), index=runs.index)
    newest_last = runs[scored].sort_values(["start", "run_id"])
    repeated = newest_last.index[newest_last.duplicated(["configuration", "seed"], keep="last")]
    evaluated = runs[[column for column in runs if str(column).startswith(f"{names.FINAL}/")]].notna().any(axis=1)
    reasons = runs["status"].map(UNSCORED).mask(evaluated, NONFINITE).mask(scored, "")
    reasons.loc[repeated] = REPEATED
    return reasons


def imputed_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that model selection uses, a row per configuration and seed, with columns `score` and `failed`.

    `score` is the final return of a run that counts (`exclusion_reasons`). A run that failed, or whose final return is
    not finite, has `failed` set and the worst finite score of its environment: without it, a step size at which half of
    the runs diverge would look as good as its luckiest seeds. A seed that failed once and has a score from another run
    counts by that score. Runs that have not ended, and environments without any score, are excluded.
    """
    reasons = exclusion_reasons(runs)
    counts, failed = reasons == "", reasons.isin([UNSCORED["FAILED"], NONFINITE])
    worst = runs[counts].groupby("environment", observed=True)[names.FINAL_RETURN].min()
    scores = runs[names.FINAL_RETURN].mask(failed, runs["environment"].map(worst))
    rows = runs.assign(score=scores, failed=failed)[counts | failed]
    ordered = rows.sort_values(["failed", "start"], ascending=[True, False], kind="stable")
    return ordered.drop_duplicates(["configuration", "seed"]).dropna(subset="score").sort_index()


def missing_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the seeds that a configuration lacks and others of its environment have.

    The columns are environment, configuration_name and seed. A recorded run is not missing, whatever its status.
    """
    rows = []
    for environment, some in runs.groupby("environment", sort=False):
        every = set(some["seed"])
        for name, own in some.groupby("configuration_name", sort=False):
            rows += [(environment, name, seed) for seed in sorted(every - set(own["seed"]))]
    return pd.DataFrame(rows, columns=["environment", "configuration_name", "seed"])


def run_notes(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[Note]:
    """Return a note for each kind of exclusion and irregularity of the runs and their metrics."""
    reasons = exclusion_reasons(runs)
    counts = reasons == ""
    unread = counts & ~runs["run_id"].isin(list(metrics["run_id"].unique()))
    without = f"Not in the curves and steps to the threshold, since {names.METRICS_FILE} is missing"
    found = {(kind, f"Excluded ({reason})"): reasons == reason for reason, kind in KINDS.items()}
    found["unfinished", "Included although the status is not FINISHED"] = counts & (runs["status"] != "FINISHED")
    found["no_table", without] = unread
    notes = [
        Note(kind, f"{text}: {list_runs(runs[rows], len(runs))}.") for (kind, text), rows in found.items() if rows.any()
    ]
    missing = missing_runs(runs)
    if not missing.empty:
        notes.append(Note("missing", f"Missing seeds that other configurations have: {list_runs(missing)}."))
    return [*notes, *consistency_notes(runs[counts], metrics)]


def consistency_notes(counted: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    """Yield a note for each inconsistency between the runs that count, using the columns that the frame has."""
    runs = counted.reindex(columns=[*counted.columns, *(name for name in _COLUMNS if name not in counted)])
    yield from _settings(runs)
    yield from _versions(runs)
    yield from _values(runs, metrics)
    yield from _lengths(runs, metrics)
    yield from _evaluations(runs, metrics)


def list_runs(some: pd.DataFrame, total: int | None = None) -> str:
    """Return ``2 of 30 runs (a seed 0, b seed 3)``."""
    listed = [f"{name} seed {seed}" for name, seed in zip(some["configuration_name"], some["seed"], strict=True)]
    more = [f"and {len(listed) - MAX_LISTED} more"] if len(listed) > MAX_LISTED else []
    number = f"{len(some)} run{'' if len(some) == 1 else 's'}" if total is None else f"{len(some)} of {total} runs"
    return f"{number} ({', '.join(listed[:MAX_LISTED] + more)})"


def _settings(runs: pd.DataFrame) -> Iterator[Note]:
    """Yield settings that differ between runs of one environment."""
    differing = [
        str(column) for column in runs if str(column).startswith(ENVIRONMENT_SETTINGS) and _differs(runs, column)
    ]
    if differing:
        text = "; ".join(_shares_of(runs, column) for column in differing)
        yield Note("environment", f"Scores may not be comparable, since settings of an environment differ: {text}.")
    unequal = [column for column in FINAL_SETTINGS if _differs(runs, column)]
    if unequal:
        text = "; ".join(_shares_of(runs, column) for column in unequal)
        yield Note("evaluation", f"Scores are not comparable, since final evaluations differ: {text}.")
    if _differs(runs, BUDGET):
        yield Note("budget", f"Budgets differ: {_shares_of(runs, BUDGET)}.")
    if _differs(runs, EVERY):
        yield Note("grid", f"Distances of evaluations differ: {_shares_of(runs, EVERY)}.")


def _versions(runs: pd.DataFrame) -> Iterator[Note]:
    known = runs[runs["code"].notna() & (runs["code"] != "")]
    if known["code"].nunique() > 1:
        shares = _shares(known["code"].str[:8])
        yield Note("code", f"The runs have {known['code'].nunique()} versions of the code: {shares}.")
    dirty = runs[runs["dirty"].astype("boolean").fillna(value=False)]
    if not dirty.empty:
        yield Note("dirty", f"Trained with uncommitted changes in the checkout: {list_runs(dirty, len(runs))}.")


def _values(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    wrong = set(metrics.loc[~np.isfinite(metrics["value"].to_numpy(float)), "run_id"])
    some = runs[runs["run_id"].isin(wrong) | (runs["nonfinite"].astype(float) > 0)]
    if not some.empty:
        text = "Some metrics are NaN or infinite and left out of the curves"
        yield Note("nonfinite_values", f"{text}: {list_runs(some, len(runs))}.")


def _lengths(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    last = runs["run_id"].map(metrics.groupby("run_id", observed=True)["steps"].max()).astype(float)
    short = runs[last < runs[BUDGET].astype(float)]
    if not short.empty:
        yield Note("short", f"Ended before the budget was used: {list_runs(short, len(runs))}.")
    ends = last.groupby([runs["environment"], runs[BUDGET]], dropna=False).agg(["min", "max"])
    ends = ends[ends["max"] - ends["min"] > MAX_LENGTH_DIFFERENCE * ends["max"]]
    if not ends.empty:
        ranges = "; ".join(f"{low:,.0f} to {high:,.0f} steps" for low, high in ends.itertuples(index=False))
        yield Note("length", f"Lengths of runs with equal budgets differ: {ranges}.")


def _evaluations(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    """Yield differences in evaluation steps between runs with equal environment, budget and evaluation interval."""
    evaluated = metrics.loc[metrics["metric"] == names.EVALUATION_RETURN, ["run_id", "steps"]]
    evaluated = evaluated[evaluated["run_id"].isin(runs["run_id"])].sort_values("steps", kind="stable")
    groups = runs.groupby(["environment", BUDGET, EVERY], dropna=False).ngroup().set_axis(runs["run_id"])
    evaluated = evaluated.assign(
        group=evaluated["run_id"].astype(object).map(groups),
        number=evaluated.groupby("run_id", observed=True).cumcount(),
    )
    counts = runs["run_id"].map(evaluated.groupby("run_id", observed=True).size()).astype(float)
    most = counts.groupby(runs["run_id"].map(groups)).transform("max")
    fewer = runs[counts < most]
    if not fewer.empty:
        yield Note("evaluations", f"Fewer evaluations than others with the same budget: {list_runs(fewer, len(runs))}.")
    whole = evaluated[~evaluated["run_id"].isin(fewer["run_id"])]
    spread = whole.groupby(["group", "number"])["steps"].agg(np.ptp).max()
    if spread > 0:
        why = "since an update is finished first; curves are interpolated"
        yield Note("steps", f"Evaluation steps differ by up to {spread:,.0f} between runs, {why}.")


def _differs(runs: pd.DataFrame, column: Any) -> bool:
    """Return whether runs of one environment differ in a parameter; None is a value."""
    return bool((runs.groupby("environment", dropna=False)[column].nunique(dropna=False) > 1).any())


def _shares_of(runs: pd.DataFrame, column: str) -> str:
    return f"{column.removeprefix('param.')} is {_shares(runs[column])}"


def _shares(values: "pd.Series[Any]") -> str:
    """Return ``1000 (20 runs), 2000 (10 runs)``."""
    counts = Counter(values.astype(object).where(values.notna(), None))
    return ", ".join(f"{value} ({count} run{'' if count == 1 else 's'})" for value, count in counts.items())
