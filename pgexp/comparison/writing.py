"""A comparison as files that others can work on: its frames, and below figures/ its figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pgexp.comparison.comparing import Comparison
from pgexp.comparison.store import ComparisonError

FIGURES: Final = "figures"
TABLES: Final = "tables"
FRAMES: Final = ("runs", "summary", "differences", "tasks")


def write_frames(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the frames as CSV files, and metrics.parquet; return what was written.

    runs.csv and summary.csv are always there; what is empty is not written. The metrics are a Parquet file, since a
    thousand runs make twenty million rows. ComparisonError where the folder can't be written.
    """
    paths = []
    with _writable(folder):
        for name in FRAMES:
            frame = getattr(comparison, name)
            if not frame.empty:
                paths.append(folder / f"{name}.csv")
                frame.to_csv(paths[-1], index=False)
        paths.append(folder / "metrics.parquet")
        comparison.metrics.to_parquet(paths[-1], index=False)
    return paths


def write_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Draw the learning curves and the intervals, where there are any, below figures/; return the files.

    ComparisonError where the folder can't be written.
    """
    from pgexp.comparison.figures.curves import plot_curves
    from pgexp.comparison.figures.intervals import plot_intervals

    paths = []
    with _writable(folder):
        if not comparison.curves.empty:
            paths += plot_curves(comparison.curves, folder / FIGURES / "learning_curves")
        if (comparison.summary["n"] > 0).any():
            paths += plot_intervals(comparison.summary, folder / FIGURES / "intervals", comparison.runs)
    return paths


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ComparisonError(f"{folder} can't be written ({error.strerror}): choose another with --out") from error
