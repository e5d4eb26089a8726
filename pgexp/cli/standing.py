"""What pgexp-status finds: the record that is meant, how its runs stand, and whether anybody trains them."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import RECORD_FILE
from pgexp.storage.following import Following, Standing
from pgexp.storage.locking import blocked
from pgexp.storage.record import Record, read, record_of
from pgexp.storage.syncing import TRAINING_LOCK, WORKERS_LOCK

_PERIOD = 1.0  # seconds between two looks
_ROOTS = ("multirun", "outputs")
_DEPTHS = ("*", "*/*")  # of a record's folder below one of these, or below a day's


@dataclass(frozen=True)
class Sight:
    """A record as it was seen at one moment."""

    record: Record
    standing: Standing
    trained: bool  # whether a command trains it now, or has yet to tell MLflow


def find(given: str | None) -> Record:
    """Return the record of a sweep's folder or of a run's, else the newest below; without a folder, the newest here.

    Raises ConfigError where there is none, or it is damaged.
    """
    if given is None:
        return _newest(map(Path, _ROOTS), "there is no recorded run below multirun or outputs here")
    path = Path(given)
    if (path / RECORD_FILE).is_file():
        return _read(path)
    above = record_of(path.absolute())
    if above is not None:
        return above
    why = f"given {given}: there is {'no recorded run in it' if path.exists() else 'no such folder'}"
    return _newest([path, *(path / root for root in _ROOTS)], why)


def looks(record: Record) -> Iterator[Sight]:
    """Yield how the record stands, each second, and a last time when nothing more is to come.

    A sweep may grow while it is looked at.
    """
    following, written = Following(record), _written(record)
    while True:
        if (now := _written(record)) != written:
            record = _read(record.folder)
            following, written = Following(record), now
        standing = following.look()
        if not _is_trained(record, standing):
            break
        yield Sight(record, standing, trained=True)
        time.sleep(_PERIOD)
    record = _read(record.folder)  # the look may have been just before runs ended, and the command let go of them
    yield Sight(record, Following(record).look().abandoned(), trained=False)


def _written(record: Record) -> tuple[int, int]:
    """Return what changes when a record is written again."""
    found = (record.folder / RECORD_FILE).stat()
    return found.st_ino, found.st_mtime_ns


def _newest(folders: Iterable[Path], otherwise: str) -> Record:
    """Return the record that was written last below some folders, or say what there is otherwise."""
    found = [path for folder in folders for depth in _DEPTHS for path in folder.glob(f"{depth}/{RECORD_FILE}")]
    if not found:
        raise ConfigError([Problem("FOLDER", f"{otherwise}; name a run's folder, a sweep's, or multirun")])
    return _read(max(found, key=lambda path: path.stat().st_mtime).parent)


def _read(folder: Path) -> Record:
    try:
        return read(folder)
    except ValueError as error:
        raise ConfigError([Problem("FOLDER", str(error))]) from error


def _is_trained(record: Record, standing: Standing) -> bool:
    """Return whether a process trains the record, or a run of it that has not ended.

    A lock of another user's can't be tried; then rows that are young tell.
    """
    runs = zip(record.runs, standing.runs, strict=False)  # of those that are reused, none is running
    folders = [record.folder, *(record.folder_of(run) for run, stands in runs if stands.state == "running")]
    locks = [folder / TRAINING_LOCK for folder in dict.fromkeys(folders)]
    locks = [lock for lock in (*locks, record.folder / WORKERS_LOCK) if lock.exists()]
    tried = [lock for lock in locks if os.access(lock, os.W_OK)]
    return any(map(blocked, tried)) or (len(tried) < len(locks) and standing.steps_per_second > 0)
