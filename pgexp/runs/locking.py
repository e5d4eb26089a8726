"""File locks, which give one command at a time the right to train in a folder, to export it or to create a store.

They are POSIX record locks. They belong to a process, end with it in any case, and are not inherited by children. The
file of a lock is never removed: two processes could then lock two files of the same name.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TRAINING_LOCK: Final = ".lock"  # in the folder of a sweep and of each run; held by the command that trains it
WORKERS_LOCK: Final = ".workers.lock"  # in a sweep's folder; shared by the processes that train its runs

_own: dict[Path, int] = {}  # process id by lock that this process holds: to open the file again would release it


class LockedError(Exception):
    """A lock is held by another process. `pid`: its id, or None if it has not been written yet."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path.parent} is in use by {holder}")
        self.path = path
        self.pid = pid


@contextmanager
def lock(path: Path, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file, which is created if it is missing, during the block.

    If another process holds it, wait, or raise LockedError. Processes can hold it together if all of them set `shared`.
    Raises OSError if the file cannot be written or its file system does not support locks.
    """
    path = path.resolve()
    if path in _own:
        raise LockedError(path, _own[path])
    with path.open("a+b") as file:
        try:
            fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError) as error:  # which of them depends on the system
            text = path.read_bytes().strip()
            raise LockedError(path, int(text) if text.isdigit() else None) from error
        file.truncate(0)
        file.write(b"%d\n" % os.getpid())
        file.flush()
        _own[path] = os.getpid()
        try:
            yield
        finally:
            del _own[path]


def find_holder(path: Path) -> LockedError | None:
    """Return the error that `lock` would raise now. A file that is missing or not writable is not locked."""
    try:
        if path.exists():
            with lock(path):
                pass
    except LockedError as error:
        return error
    except OSError:
        pass
    return None
