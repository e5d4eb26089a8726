"""Tidy frames of sweeps, seed runs and metrics at full resolution, from a store or from folders."""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pandas as pd

from pgexp.comparison import folder_source, mlflow_source
from pgexp.comparison.mlflow_store import DEFAULT_URI, open_store
from pgexp.comparison.run_frame import configuration_names, natural_key, run_frame
from pgexp.runs.metric_tables import logged_metrics, read_metrics
from pgexp.schema.errors import UserError
from pgexp.schema.names import METRICS_FILE, ROWS_FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SWEEP_COLUMNS: Final = ("sweep", "name", "experiment", "status", "start")
METRIC_COLUMNS: Final = ("run_id", "configuration_name", "seed", "steps", "metric", "value")
_READERS: Final = 2  # threads; only one at a time executes Python

Source = str | Path | Sequence[str | Path]
"""The address of an MLflow store, the folder of a sweep or run, or several folders."""
Column = tuple[str, "NDArray[np.int64]", "NDArray[np.float64]"]
"""A metric's name, its steps and its values."""


def sweeps(uri: str = DEFAULT_URI, experiment: str | None = None) -> pd.DataFrame:
    """Return the sweeps of an experiment, or of the whole store, newest first: a row per sweep, SWEEP_COLUMNS."""
    frame = pd.DataFrame(mlflow_source.sweep_rows(uri, experiment), columns=list(SWEEP_COLUMNS))
    return frame.sort_values(["start", "sweep"], ascending=[False, True], ignore_index=True)


def runs(
    source: Source = DEFAULT_URI,
    experiment: str | None = None,
    sweeps: str | Collection[str] | None = None,
    ids: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the seed runs of a store or of folders: a row per run, with any status.

    `experiment`, `sweeps` and the run ids `ids` filter the runs. A run that a sweep reuses from another is a row as its
    own. A configuration that several sweeps train is one, so that fresh seeds join the existing ones.

    The columns are RUN_COLUMNS, then every metric of the final evaluation by its name, then every parameter as
    ``param.*`` with its own type. `threshold` and scores are NaN if absent. Scores from a folder may be non-finite; a
    store holds finite ones only. A `configuration_name` belongs to one configuration. `code` is the hash of the code,
    `dirty` whether its checkout had changes, `nonfinite` how many values were not sent to the store, `reason` why a run
    ended, `biased` which choices bias its gradient estimate, `selected_from` the sweep that selected its configuration;
    each is "" if absent. `run_id` is MLflow's, or for folders the run's folder. Rows are sorted by environment,
    configuration name (numbers by size), seed and start.
    """
    sweeps = (sweeps,) if isinstance(sweeps, str) else sweeps
    if isinstance(source, str) and "://" in source:
        rows = mlflow_source.run_rows(source, experiment, sweeps, ids)
    else:
        folders = [source] if isinstance(source, str | Path) else source
        rows = [
            row
            for row in folder_source.run_rows([Path(folder) for folder in folders])
            if experiment in (None, row["experiment"])
            and (sweeps is None or row["sweep"] in sweeps)
            and (ids is None or row["run_id"] in ids)
        ]
    frame = run_frame(rows)
    if frame.empty:
        return frame
    frame = frame.assign(configuration_name=configuration_names(frame))
    keys = frame[["environment", "configuration_name", "seed", "start", "run_id"]].itertuples(index=False, name=None)
    order = sorted((environment, natural_key(name), *rest, row) for row, (environment, name, *rest) in enumerate(keys))
    return frame.iloc[[row for *_, row in order]].reset_index(drop=True)


def metrics(runs: pd.DataFrame, uri: str = DEFAULT_URI, names: Collection[str] | None = None) -> pd.DataFrame:
    """Return the recorded values of some metrics of the runs, or of all: METRIC_COLUMNS, a row per value.

    Rows are in the order of the runs, metrics and steps. run_id, configuration_name and metric are categorical. Values
    come from each run's Parquet artifact, since MLflow's own metrics are thinned; from a folder also for a run that has
    not ended. A run without either has no rows. Values that could not be computed have no row; measured NaN and
    infinite values do. The store at `uri` is used only for artifacts on another machine.
    """
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(_READERS) as readers:
        tables = list(readers.map(partial(_columns, names=names), _folders(runs, uri, Path(scratch))))
    return _metric_frame(runs, tables)


def _metric_frame(runs: pd.DataFrame, tables: Sequence[Sequence[Column]]) -> pd.DataFrame:
    """Return the runs' columns as one long frame; texts are categorical, since there may be ten million rows."""
    columns = [column for table in tables for column in table]
    lengths = np.array([values.size for _, _, values in columns], dtype=np.int64)
    each = runs.iloc[np.repeat(np.arange(len(tables)), [len(table) for table in tables])]  # the run of each column

    def repeated(texts: "pd.Series[str]") -> "pd.Categorical[Any]":
        categories = pd.Categorical(texts, categories=texts.unique())
        return pd.Categorical.from_codes(np.repeat(categories.codes, lengths), dtype=categories.dtype)

    def joined(arrays: Sequence["NDArray[Any]"], dtype: type) -> "NDArray[Any]":
        return np.concatenate(arrays) if arrays else np.empty(0, dtype)

    parts: dict[str, Any] = {
        "run_id": repeated(each["run_id"]),
        "configuration_name": repeated(each["configuration_name"]),
        "seed": np.repeat(each["seed"].to_numpy(np.int64), lengths),
        "steps": joined([steps for _, steps, _ in columns], np.int64),
        "metric": repeated(pd.Series([name for name, _, _ in columns], dtype=str)),
        "value": joined([values for _, _, values in columns], np.float64),
    }
    return pd.DataFrame(parts, columns=list(METRIC_COLUMNS), copy=False)


def _columns(folder: Path | None, names: Collection[str] | None) -> list[Column]:
    """Return the metrics of a run's folder. A null is an absent value; NaN is a measured one."""
    if folder is None:
        return []
    table, log = folder / METRICS_FILE, folder / ROWS_FILE
    try:
        # The table of a resumed run is older than the last row of its log.
        if log.is_file() and not (table.is_file() and table.stat().st_mtime_ns >= log.stat().st_mtime_ns):
            found = logged_metrics(folder)
        elif table.is_file():
            found = read_metrics(table, names)
        else:
            return []
    except (OSError, ValueError) as error:
        raise UserError.at("runs", f"cannot read the metrics of a run: resume or delete it ({error})") from error
    steps = found["steps"].to_numpy()
    chosen = [name for name in found.column_names if name != "steps" and (names is None or name in names)]
    return [(name, *_present(steps, found[name])) for name in chosen]


def _present(steps: "NDArray[np.int64]", column: Any) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
    if column.null_count == 0:
        return steps, column.to_numpy()
    return steps[column.is_valid().to_numpy()], column.drop_null().to_numpy()


def _folders(runs: pd.DataFrame, uri: str, scratch: Path) -> Iterator[Path | None]:
    """Yield each run's folder; files of another machine are downloaded to scratch, None if there are none."""
    for run_id, artifacts in zip(runs["run_id"], runs["artifacts"], strict=True):
        location = urlsplit(artifacts)
        if location.scheme in ("", "file"):
            yield Path(url2pathname(location.path))
            continue
        with open_store(uri) as client:
            exists = METRICS_FILE in {artifact.path for artifact in client.list_artifacts(run_id)}
            if exists:
                (scratch / run_id).mkdir()
                client.download_artifacts(run_id, METRICS_FILE, str(scratch / run_id))
        yield scratch / run_id if exists else None
