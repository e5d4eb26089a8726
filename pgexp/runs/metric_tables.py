"""Parquet tables of a run: its metrics and its timings, with all rows."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgexp.runs.files import replace_file
from pgexp.runs.run_log import Row, RunLogReader
from pgexp.schema.names import METRICS_FILE, ROWS_FILE, TIMING, TIMINGS_FILE


def write_tables(run_folder: Path) -> None:
    """Write a run's log as two tables with a line per row and a column per metric; absent values are null.

    Rows are sorted by steps, because an evaluation may be recorded later than the following updates. The table of
    metrics depends on the run's identity only: equal runs write equal bytes. Both tables have the steps; the time of
    day is in the table of timings only.
    """
    rows = _rows(run_folder)
    times = {"time": _integers([row.time for row in rows])}
    timings = _steps(rows) | times | _columns(rows, lambda name: name.startswith(TIMING))
    _write(run_folder / METRICS_FILE, _metrics(rows))
    _write(run_folder / TIMINGS_FILE, pa.table(timings))


def logged_metrics(run_folder: Path) -> pa.Table:
    """Return the table of metrics that `write_tables` would write. Raises ValueError if the log is damaged."""
    return _metrics(_rows(run_folder))


def read_metrics(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """Return a table that `write_tables` wrote.

    Args:
        path: of the file.
        columns: to read in addition to the steps, if the table has them; None for all.

    Raises ValueError with the file's name if it is missing or damaged.
    """
    selected = None if columns is None else ["steps", *columns]
    try:
        with pa.OSFile(str(path)) as file, pq.ParquetFile(file) as table:
            found = table.read(selected, use_threads=False)  # threads are slower with a file of this size
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if "steps" not in found.column_names:
        raise ValueError(f"{path}: the column of steps is missing")
    return found


def _rows(run_folder: Path) -> list[Row]:
    items = RunLogReader(run_folder / ROWS_FILE).read()
    return sorted((item for item in items if isinstance(item, Row)), key=lambda row: row.steps)


def _metrics(rows: list[Row]) -> pa.Table:
    return pa.table(_steps(rows) | _columns(rows, lambda name: not name.startswith(TIMING)))


def _steps(rows: list[Row]) -> dict[str, pa.Array]:
    return {"steps": _integers([row.steps for row in rows])}


def _columns(rows: list[Row], is_included: Callable[[str], bool]) -> dict[str, pa.Array]:
    names = sorted({name for row in rows for name in row.metrics if is_included(name)})
    return {name: _floats([row.metrics.get(name) for row in rows]) for name in names}


# These two avoid `pyarrow.array`, which imports pandas: half a second per run.


def _integers(values: list[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.array(values, np.int64))])


def _floats(values: list[float | None]) -> pa.Array:
    valid = np.packbits([value is not None for value in values], bitorder="little")
    numbers = np.array([0.0 if value is None else value for value in values])
    return pa.Array.from_buffers(pa.float64(), len(values), [pa.py_buffer(valid), pa.py_buffer(numbers)])


def _write(path: Path, table: pa.Table) -> None:
    with replace_file(path) as draft:
        pq.write_table(table, draft, compression="zstd")
