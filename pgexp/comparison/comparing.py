"""A comparison as one value: made of frames, and handed to the table, the files and the report."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pgexp.comparison.best import best
from pgexp.comparison.collapse import collapse
from pgexp.comparison.counting import exclusions, notes
from pgexp.comparison.curves import curve_frame, early_ends
from pgexp.comparison.differences import differences, differences_notes
from pgexp.comparison.selecting import origin_notes
from pgexp.comparison.store import TRAIN, ComparisonError
from pgexp.comparison.summary import summary
from pgexp.comparison.tasks import scale_of, tasks, tasks_notes


@dataclass(frozen=True)
class Comparison:
    """What was compared and what came out; each frame is also made by a public function of its own.

    runs (of `frames.runs`) has a column `left_out` more: why a run does not count, empty if it does. metrics is of
    `frames.metrics`, summary of `summary.summary`, differences of `differences.differences` (empty with one
    configuration), curves of `curves.curve_frame`, tasks of `tasks.tasks` (empty with one environment), scale of
    `tasks.scale_of`, collapse of `collapse.collapse`, best of `best.best`. notes are sentences on what is irregular
    or left out. sweeps are the ids of the sweeps compared, none where their runs belong to none; uri is the store,
    empty for folders that no store knows; command is the line that was called, empty in a notebook; reference is the
    configuration that was asked to be compared with.
    """

    runs: pd.DataFrame
    metrics: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    curves: pd.DataFrame
    tasks: pd.DataFrame
    scale: pd.DataFrame
    collapse: pd.DataFrame
    best: pd.DataFrame
    notes: list[str]
    sweeps: list[str]
    uri: str = ""
    command: str = ""
    reference: str | None = None


def compare(
    runs: pd.DataFrame,
    metrics: pd.DataFrame,
    *,
    threshold: float | None = None,
    collapsed: float | None = None,
    reference: str | None = None,
    scale: pd.DataFrame | None = None,
    choosing: pd.DataFrame | None = None,
    uri: str = "",
    command: str = "",
) -> Comparison:
    """Return the comparison of the runs, which `frames.runs` returned, by these and by `frames.metrics` of them.

    threshold is a return to reach instead of each environment's own, collapsed a score at or below which a run counts
    as collapsed, reference the configuration that all others are compared with, scale what a score of 0 and of 1 is
    on each environment (`tasks.read_scale`), and choosing the runs by whose seeds these configurations were chosen
    (`selecting.origins`), to tell whether these are fresh. ComparisonError where there are no runs.
    """
    if runs.empty:
        raise ComparisonError(f"there are no runs to compare yet; train some, for example: {TRAIN}")
    table = summary(runs, metrics, threshold, collapsed)
    pairs = differences(runs, reference)
    curves = curve_frame(runs, metrics, threshold)
    said: list[Sequence[str]] = [
        origin_notes(runs, runs[:0] if choosing is None else choosing),
        *(notes(runs, metrics), _without_curve(table, curves), early_ends(runs, metrics)),
        *(differences_notes(pairs, runs, reference), tasks_notes(runs, scale)),
    ]
    return Comparison(
        runs=runs.assign(left_out=exclusions(runs)),
        metrics=metrics,
        summary=table,
        differences=pairs,
        curves=curves,
        tasks=tasks(runs, scale),
        scale=scale_of(runs, scale),
        collapse=collapse(runs, metrics, collapsed),
        best=best(runs),
        notes=[line for lines in said for line in lines],
        sweeps=runs["sweep"].dropna().unique().tolist(),
        uri=uri,
        command=command,
        reference=reference,
    )


def _without_curve(table: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    names = table["configuration_name"][table["n"] > 0]
    missing = sorted(set(names) - set(curves["configuration_name"]))
    if not missing:
        return []
    why = "the seeds' evaluations have no stretch of steps in common (evaluation.every makes them more frequent)"
    return [f"No learning curve of {', '.join(missing)}: {why}."]
