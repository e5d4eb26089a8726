"""What was trained as tidy frames: the sweeps of a store, the seed runs, and the runs' metrics at full resolution."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from pgexp.comparison import folders, stored
from pgexp.comparison.labels import configuration_names, natural
from pgexp.comparison.reading import METRIC_COLUMNS, read_long
from pgexp.comparison.rows import RUN_COLUMNS, Row, framed
from pgexp.comparison.store import DEFAULT_URI

__all__ = ["METRIC_COLUMNS", "RUN_COLUMNS", "SWEEP_COLUMNS", "Source", "metrics", "runs", "sweeps"]

SWEEP_COLUMNS: Final = ("sweep", "name", "experiment", "status", "start")

Source = str | Path | Sequence[str | Path]
"""An MLflow store's address, or the folder of a sweep or of a run, or several folders."""


def sweeps(uri: str = DEFAULT_URI, experiment: str | None = None) -> pd.DataFrame:
    """Return the sweeps of an experiment, or of the whole store, newest first: a row a sweep."""
    frame = pd.DataFrame(stored.sweep_rows(uri, experiment), columns=list(SWEEP_COLUMNS))
    return frame.sort_values(["start", "sweep"], ascending=[False, True], ignore_index=True)


def runs(
    source: Source = DEFAULT_URI,
    experiment: str | None = None,
    sweeps: str | Collection[str] | None = None,
    ids: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the seed runs of a store or of folders, all or those chosen: a row a run, whatever its end.

    An experiment, sweeps and the runs' own ids choose among them; what is not given leaves nothing out. A run of
    another sweep that one reuses is a row as if it were its own. A configuration that several sweeps train is one,
    so that fresh seeds join those that stand.

    The columns are RUN_COLUMNS, then every metric of the final evaluation under its own name, then every
    parameter as ``param.*`` with its own type. `threshold` and the scores are NaN where absent, and a score of a
    folder is as it was measured, finite or not; a store keeps finite ones only. A `configuration_name` belongs to
    one configuration only. `code` is the hash of the code, `dirty` whether its checkout had changes, `nonfinite`
    how many values a store was not given, `reason` why a run ended as it did, `biased` which choices make its
    gradient's estimate biased, `selected_from` the sweep that chose its configuration, each "" where none. From a
    store `run_id` is MLflow's; from folders it is the run's folder. Rows are in the order of environment,
    configuration name (numbers by size), seed and start.
    """
    sweeps = (sweeps,) if isinstance(sweeps, str) else sweeps
    if isinstance(source, str) and "://" in source:
        rows = stored.run_rows(source, experiment, sweeps, ids)
    else:
        given = [source] if isinstance(source, str | Path) else source
        rows = _chosen(folders.run_rows([Path(folder) for folder in given]), experiment, sweeps, ids)
    frame = framed(rows)
    if frame.empty:
        return frame
    return _ordered(frame.assign(configuration_name=configuration_names(frame)))


def metrics(runs: pd.DataFrame, uri: str = DEFAULT_URI, names: Collection[str] | None = None) -> pd.DataFrame:
    """Return the recorded values of the runs, of some metrics or of all: a row a run, metric and step, METRIC_COLUMNS.

    run_id, configuration_name and metric are categorical. They are read from each run's Parquet artifact, since the
    metrics in MLflow itself are thinned; from a folder also of a run that has not ended. A run that has neither has
    no rows here. What could not be computed has no row; a value that was measured as NaN or infinite has one. uri is
    asked only for artifacts that stand on another machine.
    """
    return read_long(runs, uri, names)


def _chosen(
    rows: list[Row], experiment: str | None, sweeps: Collection[str] | None, ids: Collection[str] | None
) -> list[Row]:
    return [
        row
        for row in rows
        if experiment in (None, row["experiment"])
        and (sweeps is None or row["sweep"] in sweeps)
        and (ids is None or row["run_id"] in ids)
    ]


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["environment", "configuration_name", "seed", "start", "run_id"]
    rows = list(frame[keys].itertuples(index=False, name=None))
    order = sorted(range(len(rows)), key=lambda row: (rows[row][0], natural(rows[row][1]), *rows[row][2:]))
    return frame.iloc[order].reset_index(drop=True)
