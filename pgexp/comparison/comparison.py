"""A comparison as one value, made from frames, and its frames and figures as files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from pgexp.comparison.across_environments import across_environments, across_environments_notes, score_scale
from pgexp.comparison.curves import curve_frame, early_end_notes
from pgexp.comparison.inclusion import exclusion_reasons, run_notes
from pgexp.comparison.mlflow_store import TRAIN_EXAMPLE
from pgexp.comparison.model_selection import best_configurations, fresh_seed_notes
from pgexp.comparison.pairwise import difference_notes, differences
from pgexp.comparison.summary import summary
from pgexp.schema.errors import UserError

FIGURES: Final = "figures"
TABLES: Final = "tables"
FRAMES: Final = ("runs", "summary", "differences", "environments")


@dataclass(frozen=True)
class Comparison:
    """The input and the results of a comparison; a public function makes each frame.

    runs is that of `frames.runs` with a column `exclusion` (`exclusion_reasons`), metrics is that of `frames.metrics`,
    and the others are those of `summary`, `differences` (empty with one configuration), `curve_frame`,
    `across_environments` (empty with one environment), `score_scale` and `best_configurations`. notes are sentences on
    irregular and excluded runs. sweeps are the ids of the sweeps, empty if the runs belong to none. uri is the store,
    empty for folders that are in no store. command is the command line, empty in a notebook. reference is the
    configuration to compare with, if one was chosen.
    """

    runs: pd.DataFrame
    metrics: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    curves: pd.DataFrame
    environments: pd.DataFrame
    scale: pd.DataFrame
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
    selecting: pd.DataFrame | None = None,
    uri: str = "",
    command: str = "",
) -> Comparison:
    """Return the comparison of the runs.

    Args:
        runs: The frame of `frames.runs`.
        metrics: The frame of `frames.metrics`.
        threshold: A return that replaces each environment's own threshold.
        collapsed: A score at or below which a run counts as collapsed.
        reference: The configuration that all others are compared with.
        scale: The scores that become 0 and 1 on each environment (`read_scale`).
        selecting: The runs whose seeds selected these configurations (`selecting_sweeps`), to check for fresh seeds.
        uri: The store of the runs.
        command: The command line.

    Raises UserError if there are no runs.
    """
    if runs.empty:
        raise UserError.at("runs", f"there are none to compare yet. Train some, for example: {TRAIN_EXAMPLE}")
    table, pairs = summary(runs, metrics, threshold, collapsed), differences(runs, reference)
    curves = curve_frame(runs, metrics, threshold)
    notes: list[Sequence[str]] = [
        fresh_seed_notes(runs, runs[:0] if selecting is None else selecting),
        *(run_notes(runs, metrics), _notes_on_missing_curves(table, curves), early_end_notes(runs, metrics)),
        *(difference_notes(pairs, runs, reference), across_environments_notes(runs, scale)),
    ]
    return Comparison(
        runs=runs.assign(exclusion=exclusion_reasons(runs)),
        metrics=metrics,
        summary=table,
        differences=pairs,
        curves=curves,
        environments=across_environments(runs, scale),
        scale=score_scale(runs, scale),
        best=best_configurations(runs),
        notes=[note for some in notes for note in some],
        sweeps=runs["sweep"].dropna().unique().tolist(),
        uri=uri,
        command=command,
        reference=reference,
    )


def write_frames(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the frames as CSV files and metrics.parquet; return the paths.

    runs.csv and summary.csv always exist; empty frames are not written. The metrics are a Parquet file, since a
    thousand runs have twenty million rows. Raises UserError if the folder cannot be written.
    """
    paths = []
    with writable(folder):
        for name in FRAMES:
            frame = getattr(comparison, name)
            if not frame.empty:
                paths.append(folder / f"{name}.csv")
                frame.to_csv(paths[-1], index=False)
        paths.append(folder / "metrics.parquet")
        comparison.metrics.to_parquet(paths[-1], index=False)
    return paths


def write_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Draw the learning curves and the intervals, if there are any, in figures/; return the paths.

    Raises UserError if the folder cannot be written.
    """
    from pgexp.comparison.figures.curves import plot_curves
    from pgexp.comparison.figures.intervals import plot_intervals

    paths = []
    with writable(folder):
        if not comparison.curves.empty:
            paths += plot_curves(comparison.curves, folder / FIGURES / "learning_curves")
        if (comparison.summary["n"] > 0).any():
            paths += plot_intervals(comparison.summary, folder / FIGURES / "intervals", comparison.runs)
    return paths


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Create a folder, and convert an OSError of writing it into a UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError.at("--out", f"cannot write {folder} ({error.strerror}). Choose another folder") from error


def _notes_on_missing_curves(table: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    missing = sorted(set(table["configuration_name"][table["n"] > 0]) - set(curves["configuration_name"]))
    if not missing:
        return []
    why = "the seeds' evaluations have no common range of steps (evaluation.every sets how often they are made)"
    return [f"No learning curve of {', '.join(missing)}: {why}."]
