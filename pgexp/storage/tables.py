"""A run's numbers at full resolution, as Parquet: what is deterministic apart from what is timing."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgexp.schema.names import METRICS_FILE, ROWS_FILE, TIMING, TIMINGS_FILE
from pgexp.storage.files import replacing
from pgexp.storage.spool import Row, SpoolReader


def write_tables(run_folder: Path) -> None:
    """Write a run's spool as two tables, a line a row, a column a metric, null where it is absent.

    Rows stand in the order of their steps: an evaluation may be recorded later than it belongs, when others were due
    with it, and that must not show. The metrics depend on the run's identity alone, so the same run writes the same
    file, byte for byte; steps is in both tables, the time of day only beside the timings.
    """
    rows = _rows(run_folder)
    times = {"time": _whole([row.time for row in rows])}
    timings = _steps(rows) | times | _columns(rows, lambda name: name.startswith(TIMING))
    _write(run_folder / METRICS_FILE, _metrics(rows))
    _write(run_folder / TIMINGS_FILE, pa.table(timings))


def spooled_metrics(run_folder: Path) -> pa.Table:
    """Return the table of metrics that ``write_tables`` would write now; a ValueError names a damaged spool."""
    return _metrics(_rows(run_folder))


def read_metrics(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """Return a table that ``write_tables`` wrote, whole or its steps and those of the columns that it has.

    A ValueError names the file that is missing or damaged.
    """
    wanted = None if columns is None else ["steps", *columns]
    try:
        with pa.OSFile(str(path)) as file, pq.ParquetFile(file) as table:
            found = table.read(wanted, use_threads=False)  # which cost more than they save in so small a file
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if "steps" not in found.column_names:
        raise ValueError(f"{path}: it has no column of steps")
    return found


def _rows(run_folder: Path) -> list[Row]:
    written = SpoolReader(run_folder / ROWS_FILE).read()
    return sorted((item for item in written if isinstance(item, Row)), key=lambda row: row.steps)


def _metrics(rows: list[Row]) -> pa.Table:
    return pa.table(_steps(rows) | _columns(rows, lambda name: not name.startswith(TIMING)))


def _steps(rows: list[Row]) -> dict[str, pa.Array]:
    return {"steps": _whole([row.steps for row in rows])}


def _columns(rows: list[Row], belongs: Callable[[str], bool]) -> dict[str, pa.Array]:
    names = sorted({name for row in rows for name in row.metrics if belongs(name)})
    return {name: _fractional([row.metrics.get(name) for row in rows]) for name in names}


# These two do without `pyarrow.array`, which imports pandas: half a second of each run.


def _whole(values: list[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.array(values, np.int64))])


def _fractional(values: list[float | None]) -> pa.Array:
    """Return the array whose missing values are null."""
    valid = np.packbits([value is not None for value in values], bitorder="little")
    numbers = np.array([0.0 if value is None else value for value in values])
    return pa.Array.from_buffers(pa.float64(), len(values), [pa.py_buffer(valid), pa.py_buffer(numbers)])


def _write(path: Path, table: pa.Table) -> None:
    with replacing(path) as draft:
        pq.write_table(table, draft, compression="zstd")
