"""Brings a record to MLflow after the fact, whatever its own sink came to."""

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgexp.schema.names import RECORD_FILE, RUN_FILE
from pgexp.storage.draining import SINK_LOCK
from pgexp.storage.locking import BlockedError, blocked, held
from pgexp.storage.record import Record, read

TRAINING_LOCK: Final = ".lock"  # of a record's folder and of its runs': held by the command that trains them
WORKERS_LOCK: Final = ".workers.lock"  # of a record's folder: shared by the processes that train its runs

_PAUSES = (1.0, 4.0)  # seconds before the second try of a store that fails, and the third


@dataclass(frozen=True)
class Synced:
    """What MLflow has of a record now; `training` says who goes on with it."""

    runs: int = 0
    rows: int = 0
    training: BlockedError | None = None


def find_records(path: Path) -> list[Path]:
    """Return the folders of the records at or below a path, or of the sweep that a run's folder is in."""
    found = sorted(record.parent for record in path.rglob(RECORD_FILE))
    above = [parent for parent in path.absolute().parents if _holds(parent, path)] if not found else []
    return found or above[:1]


def sync(record: Record) -> Synced:
    """Bring a record over: all that its spools hold, once, and how its runs ended.

    A run that nobody trains any more is marked as killed. One that is being trained is left to its own sink, if that is
    alive; and a sink that only finishes its work is waited for. Raises what the store raises.
    """
    training = _training(record)
    sink_lock = record.folder / SINK_LOCK
    if training is not None and blocked(sink_lock):
        return Synced(training=training)
    with held(sink_lock, wait=True):
        return _brought(record, training)


def _brought(record: Record, training: BlockedError | None) -> Synced:
    from pgexp.storage.mlflow_sink import STORE_ERRORS, MlflowSink  # takes seconds

    gc.freeze()  # as the sink's own process does
    sink = MlflowSink(record)
    for pause in (*_PAUSES, None):
        try:
            if not sink.is_open:
                sink.open()
            for _ in sink.drain(kill=training is None):
                pass
            break
        except STORE_ERRORS:
            if pause is None:
                raise
            time.sleep(pause)
    return Synced(len(record.runs), sink.rows, training)


def _training(record: Record) -> BlockedError | None:
    folders = [record.folder, *(record.folder_of(run) for run in record.runs)]
    locks = [record.folder / WORKERS_LOCK, *(folder / TRAINING_LOCK for folder in folders)]
    return next((found for lock in locks if (found := blocked(lock))), None)


def _holds(parent: Path, run: Path) -> bool:
    if not (run / RUN_FILE).is_file() or not (parent / RECORD_FILE).is_file():
        return False
    record = read(parent)
    return run.resolve() in {record.folder_of(each).resolve() for each in record.runs}
