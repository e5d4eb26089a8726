"""The runs' metrics at full resolution: from each run's table, or from its spool where that holds more."""

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

from pgexp.comparison.store import ComparisonError, opened
from pgexp.schema import names
from pgexp.storage.tables import read_metrics, spooled_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRIC_COLUMNS: Final = ("run_id", "configuration_name", "seed", "steps", "metric", "value")
_READERS: Final = 2  # threads; what Python does of it is done by one at a time

Column = tuple[str, "NDArray[np.int64]", "NDArray[np.float64]"]
"""A metric's name, and its steps and values where it is present."""


def read_long(runs: pd.DataFrame, uri: str, wanted: Collection[str] | None) -> pd.DataFrame:
    """Return the values of some metrics, or of all, METRIC_COLUMNS, in the order of the runs, metrics and steps."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(_READERS) as readers:
        folders = _folders(runs, uri, Path(scratch))
        tables = list(readers.map(partial(_columns, wanted=wanted), folders))
    return _long(runs, tables)


def _long(runs: pd.DataFrame, tables: Sequence[Sequence[Column]]) -> pd.DataFrame:
    """Return the runs' columns one below the other; of ten million rows, none repeats a text."""
    columns = [column for table in tables for column in table]
    lengths = np.array([values.size for _, _, values in columns], dtype=np.int64)
    of_run = np.repeat(np.arange(len(tables)), [len(table) for table in tables])  # for each column, its run

    def repeated(texts: "pd.Series[str]") -> "pd.Categorical[Any]":
        categories = pd.Categorical(texts, categories=texts.unique())
        codes = np.repeat(categories.codes, lengths)
        return pd.Categorical.from_codes(codes, dtype=categories.dtype)

    each = runs.iloc[of_run]
    parts: dict[str, Any] = {
        "run_id": repeated(each["run_id"]),
        "configuration_name": repeated(each["configuration_name"]),
        "seed": np.repeat(each["seed"].to_numpy(np.int64), lengths),
        "steps": _joined([steps for _, steps, _ in columns], np.int64),
        "metric": repeated(pd.Series([name for name, _, _ in columns], dtype=str)),
        "value": _joined([values for _, _, values in columns], np.float64),
    }
    return pd.DataFrame(parts, columns=list(METRIC_COLUMNS), copy=False)


def _joined(arrays: Sequence["NDArray[Any]"], dtype: type) -> "NDArray[Any]":
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


def _columns(folder: Path | None, wanted: Collection[str] | None) -> list[Column]:
    """Return what a folder holds of a run's metrics. A null is an absent value; NaN is one that was measured."""
    if folder is None:
        return []
    table, spool = folder / names.METRICS_FILE, folder / names.ROWS_FILE
    try:
        if spool.is_file() and not _covers(table, spool):
            found = spooled_metrics(folder)
        elif table.is_file():
            found = read_metrics(table, wanted)
        else:
            return []
    except (OSError, ValueError) as error:
        raise ComparisonError(f"the metrics of a run can't be read: resume or delete it ({error})") from error
    steps = found["steps"].to_numpy()
    chosen = [name for name in found.column_names if name != "steps" and (wanted is None or name in wanted)]
    return [(name, *_present(steps, found[name])) for name in chosen]


def _present(steps: "NDArray[np.int64]", column: Any) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
    if column.null_count == 0:
        return steps, column.to_numpy()
    present = column.is_valid().to_numpy()
    return steps[present], column.drop_null().to_numpy()


def _covers(table: Path, spool: Path) -> bool:
    """Return whether a table was written after the last row of its spool: a run that goes on has an old one."""
    return table.is_file() and table.stat().st_mtime_ns >= spool.stat().st_mtime_ns


def _folders(runs: pd.DataFrame, uri: str, scratch: Path) -> Iterator[Path | None]:
    """Yield where each run's files stand; those of another machine are fetched into scratch, if they are there."""
    for run_id, artifacts in zip(runs["run_id"], runs["artifacts"], strict=True):
        location = urlsplit(artifacts)
        if location.scheme in ("", "file"):
            yield Path(url2pathname(location.path))
        else:
            yield _fetched(run_id, uri, scratch / run_id)


def _fetched(run_id: str, uri: str, folder: Path) -> Path | None:
    with opened(uri) as client:
        if names.METRICS_FILE not in {artifact.path for artifact in client.list_artifacts(run_id)}:
            return None
        folder.mkdir()
        client.download_artifacts(run_id, names.METRICS_FILE, str(folder))
        return folder
