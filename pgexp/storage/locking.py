"""File locks: one command at a time trains a folder, drains it, or makes a store; its workers share one.

They are POSIX record locks, which belong to a process: they end with it however it ends, and no child inherits them.
The file stays where it is, since to remove it would let two processes lock two files of one name.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_mine: dict[Path, int] = {}  # this process's id, by the locks that it holds: it would free one by opening it again


class BlockedError(Exception):
    """Another process holds a lock; `pid` is its id, or None where it has not written that down yet."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path.parent} is in use by {holder}")
        self.path = path
        self.pid = pid


@contextmanager
def held(path: Path, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Hold the lock of that file, which is made if need be, for as long as the block runs.

    Where another process holds it, wait for that process, or else raise BlockedError; only processes that all share it
    hold it together. An OSError says that the file can't be written, or that its file system has no locks.
    """
    path = path.resolve()
    if path in _mine:
        raise BlockedError(path, _mine[path])
    with path.open("a+b") as file:
        try:
            fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError) as error:  # which one depends on the system
            raise BlockedError(path, _holder(path)) from error
        file.truncate(0)
        file.write(b"%d\n" % os.getpid())
        file.flush()
        _mine[path] = os.getpid()
        try:
            yield
        finally:
            del _mine[path]


def blocked(path: Path) -> BlockedError | None:
    """Return what `held` would raise now; a file that is not there, or can't be written, nobody holds."""
    try:
        if path.exists():
            with held(path):
                pass
    except BlockedError as error:
        return error
    except OSError:
        pass
    return None


def _holder(path: Path) -> int | None:
    """Return the process id that another process wrote into its lock."""
    written = path.read_bytes().strip()
    return int(written) if written.isdigit() else None
