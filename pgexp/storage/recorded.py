"""The sign, in a record's folder, that its MLflow runs tell all that its spools hold: who finds it asks no store."""

from contextlib import suppress
from typing import Final

from pgexp.schema.names import ROWS_FILE
from pgexp.storage.record import Record

SIGN: Final = ".recorded"


def mark(record: Record) -> None:
    """Leave the sign; where it can't be written, a store is asked once more than it would have to be."""
    with suppress(OSError):
        (record.folder / SIGN).write_text(_spooled(record))


def is_marked(record: Record) -> bool:
    """Return whether the sign is there, and the record has not grown since, in runs or in rows."""
    sign = record.folder / SIGN
    return sign.is_file() and sign.read_text() == _spooled(record)


def _spooled(record: Record) -> str:
    """Return how many runs there are and are reused, which may grow, and how many bytes their spools hold."""
    paths = (record.folder_of(run) / ROWS_FILE for run in record.runs)
    size = sum(path.stat().st_size for path in paths if path.exists())
    return f"{len(record.runs)} runs, {len(record.reused)} reused, {size} bytes\n"
