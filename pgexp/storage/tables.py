"""A run's numbers at full resolution, as Parquet: what is deterministic apart from what is timing."""

from collections.abc import Callable
from pathlib import Path

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
    written = SpoolReader(run_folder / ROWS_FILE).read()
    rows = sorted((item for item in written if isinstance(item, Row)), key=lambda row: row.steps)
    steps = {"steps": pa.array([row.steps for row in rows], pa.int64())}
    times = {"time": pa.array([row.time for row in rows], pa.int64())}
    _write(run_folder / METRICS_FILE, steps | _columns(rows, lambda name: not name.startswith(TIMING)))
    _write(run_folder / TIMINGS_FILE, steps | times | _columns(rows, lambda name: name.startswith(TIMING)))


def read_metrics(path: Path) -> pa.Table:
    """Return a table that ``write_tables`` wrote; a ValueError names the file that is missing or damaged."""
    try:
        with path.open("rb") as file:  # a path alone may be a folder, and be read as several files
            table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if "steps" not in table.column_names:
        raise ValueError(f"{path}: it has no column of steps")
    return table


def _columns(rows: list[Row], belongs: Callable[[str], bool]) -> dict[str, pa.Array]:
    names = sorted({name for row in rows for name in row.metrics if belongs(name)})
    return {name: pa.array([row.metrics.get(name) for row in rows], pa.float64()) for name in names}


def _write(path: Path, columns: dict[str, pa.Array]) -> None:
    with replacing(path) as draft:
        pq.write_table(pa.table(columns), draft, compression="zstd")
