"""A comparison as one value: made from the store, and written as files that others can work on."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pgexp.comparison.counting import exclusions, notes
from pgexp.comparison.curves import curve_frame
from pgexp.comparison.frames import metrics, runs
from pgexp.comparison.store import DEFAULT_URI, TRAIN, ComparisonError, shown
from pgexp.comparison.table import summary


@dataclass(frozen=True)
class Comparison:
    """What was compared and what came out.

    runs has a column `left_out` beside those of `frames.runs`: why a run does not count, empty if it does.
    """

    runs: pd.DataFrame
    metrics: pd.DataFrame
    summary: pd.DataFrame
    curves: pd.DataFrame
    notes: list[str]


def compare(
    uri: str = DEFAULT_URI, experiment: str | None = None, sweep: str | None = None, threshold: float | None = None
) -> Comparison:
    """Return the comparison of a sweep, or of all runs of the experiment or store."""
    seeds = runs(uri, experiment, sweep)
    if seeds.empty:
        raise ComparisonError(f"{shown(uri)} holds no runs to compare yet; train some, for example: {TRAIN}")
    recorded = metrics(seeds, uri)
    table = summary(seeds, recorded, threshold)
    curves = curve_frame(seeds, recorded, threshold)
    return Comparison(
        runs=seeds.assign(left_out=exclusions(seeds)),
        metrics=recorded,
        summary=table,
        curves=curves,
        notes=[*notes(seeds, recorded), *_without_curve(table, curves)],
    )


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write runs.csv, metrics.csv, summary.csv and, if there are any, the learning curves; return them."""
    from pgexp.comparison.figure import plot_curves

    frames = {"runs": comparison.runs, "metrics": comparison.metrics, "summary": comparison.summary}
    paths = [folder / f"{name}.csv" for name in frames]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, frame in zip(paths, frames.values(), strict=True):
            frame.to_csv(path, index=False)
        drawn = [] if comparison.curves.empty else plot_curves(comparison.curves, folder / "learning_curves")
    except OSError as error:
        raise ComparisonError(f"{folder} can't be written ({error.strerror}): choose another with --out") from error
    return paths + drawn


def _without_curve(table: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    names = table["configuration_name"][table["n"] > 0]
    missing = sorted(set(names) - set(curves["configuration_name"]))
    if not missing:
        return []
    why = "the seeds' evaluations have no stretch of steps in common (evaluation.every makes them more frequent)"
    return [f"No learning curve of {', '.join(missing)}: {why}."]
