"""What makes runs that count unequal, told to the reader of their comparison: a sentence for each kind."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.schema import names

LISTED: Final = 5  # runs that a note names before it only counts them
LENGTH: Final = 0.01  # the share by which lengths may differ unsaid: an update is finished beyond the budget
BUDGET: Final = "param.budget.steps"
EVERY: Final = "param.evaluation.every"
FINAL_SETTINGS: Final = ("param.evaluation.greedy", "param.evaluation.final_episodes")
TASK: Final = ("param.env.kwargs", "param.env.wrappers", "param.env.max_episode_steps")  # what makes it another task
_READ: Final = ("environment", "code", "dirty", "nonfinite", BUDGET, EVERY, *FINAL_SETTINGS)


class Note(str):
    """A sentence for the comparison's reader, and the kind of irregularity that it tells of, in a word."""

    __slots__ = ("kind",)
    kind: str

    def __new__(cls, kind: str, text: str) -> "Note":
        """Return the sentence, which knows its kind."""
        note = super().__new__(cls, text)
        note.kind = kind
        return note

    def __reduce__(self) -> tuple[type["Note"], tuple[str, str]]:
        """Return what a copy is made of."""
        return Note, (self.kind, str(self))


def irregularities(counted: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    """Yield a note on whatever is unequal among runs that count, by the columns that the frame has."""
    runs = counted.reindex(columns=[*counted.columns, *(name for name in _READ if name not in counted)])
    yield from _settings(runs)
    yield from _versions(runs)
    yield from _values(runs, metrics)
    yield from _lengths(runs, metrics)
    yield from _grids(runs, metrics)


def listed(some: pd.DataFrame, total: int | None = None) -> str:
    """Return ``2 of 30 runs (a seed 0, b seed 3)``."""
    pairs = zip(some["configuration_name"], some["seed"], strict=True)
    which = [f"{name} seed {seed}" for name, seed in pairs]
    more = [f"and {len(which) - LISTED} more"] if len(which) > LISTED else []
    number = f"{len(some)} run{'' if len(some) == 1 else 's'}" if total is None else f"{len(some)} of {total} runs"
    return f"{number} ({', '.join(which[:LISTED] + more)})"


def _settings(runs: pd.DataFrame) -> Iterator[Note]:
    """Yield what was asked of the runs of one environment, and is not the same."""
    task = [str(column) for column in runs if str(column).startswith(TASK) and _differs(runs, str(column))]
    if task:
        told = "; ".join(_told(runs, column) for column in task)
        yield Note("task", f"The scores may not be comparable, since an environment is made differently: {told}.")
    unequal = [column for column in FINAL_SETTINGS if _differs(runs, column)]
    if unequal:
        told = "; ".join(_told(runs, column) for column in unequal)
        yield Note("evaluation", f"The scores are not comparable, since final evaluations differ: {told}.")
    if _differs(runs, BUDGET):
        yield Note("budget", f"The runs have unequal budgets: {_told(runs, BUDGET)}.")
    if _differs(runs, EVERY):
        yield Note("grid", f"Evaluations are unequally far apart: {_told(runs, EVERY)}.")


def _versions(runs: pd.DataFrame) -> Iterator[Note]:
    known = runs[runs["code"].notna() & (runs["code"] != "")]
    if known["code"].nunique() > 1:
        told = _shares(known["code"].str[:8])
        yield Note("code", f"The runs come of {known['code'].nunique()} versions of the code: {told}.")
    dirty = runs[runs["dirty"].astype("boolean").fillna(value=False)]
    if not dirty.empty:
        yield Note("dirty", f"Trained from a checkout with uncommitted changes: {listed(dirty, len(runs))}.")


def _values(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    wrong = set(metrics.loc[~np.isfinite(metrics["value"].to_numpy(float)), "run_id"])
    some = runs[runs["run_id"].isin(wrong) | (runs["nonfinite"].astype(float) > 0)]
    if not some.empty:
        what = "With metrics that were NaN or infinite at times, which curves pass over"
        yield Note("nonfinite_values", f"{what}: {listed(some, len(runs))}.")


def _lengths(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    last = runs["run_id"].map(metrics.groupby("run_id", observed=True)["steps"].max()).astype(float)
    short = runs[last < runs[BUDGET].astype(float)]
    if not short.empty:
        yield Note("short", f"Ended before their budget was spent: {listed(short, len(runs))}.")
    of_one_budget = last.groupby([runs["environment"], runs[BUDGET]], dropna=False)
    ends = of_one_budget.agg(["min", "max"])
    ends = ends[ends["max"] - ends["min"] > LENGTH * ends["max"]]
    if not ends.empty:
        told = "; ".join(f"{low:,.0f} to {high:,.0f} steps" for low, high in ends.itertuples(index=False))
        yield Note("length", f"Runs of one budget ended at unequal lengths: {told}.")


def _grids(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[Note]:
    """Yield how the evaluations stand apart of runs that plan the same: of one environment, budget and distance."""
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
        yield Note("evaluations", f"Evaluated less often than others of their budget: {listed(fewer, len(runs))}.")
    whole = evaluated[~evaluated["run_id"].isin(fewer["run_id"])]
    spread = whole.groupby(["group", "number"])["steps"].agg(np.ptp).max()
    if spread > 0:
        why = "since an update is finished first; curves interpolate between them"
        yield Note("steps", f"Evaluations stand at steps that differ by up to {spread:,.0f} between runs, {why}.")


def _differs(runs: pd.DataFrame, column: str) -> bool:
    """Return whether runs of one environment differ in a parameter; None is a value, too."""
    return bool((runs.groupby("environment", dropna=False)[column].nunique(dropna=False) > 1).any())


def _told(runs: pd.DataFrame, column: str) -> str:
    return f"{column.removeprefix('param.')} is {_shares(runs[column])}"


def _shares(values: "pd.Series[Any]") -> str:
    """Return ``1000 (20 runs), 2000 (10 runs)``."""
    counts = Counter(values.astype(object).where(values.notna(), None))
    return ", ".join(f"{value} ({count} run{'' if count == 1 else 's'})" for value, count in counts.items())
