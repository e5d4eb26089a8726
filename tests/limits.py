"""Temporary resource limits of the test process."""

import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


@contextmanager
def limit(which: int, soft: int) -> Iterator[None]:
    """Set the soft limit of a resource until the block ends."""
    before, hard = resource.getrlimit(which)
    resource.setrlimit(which, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (before, hard))


def file_size_limit(size: int) -> AbstractContextManager[None]:
    """Limit the size of files that the process writes, in bytes."""
    return limit(resource.RLIMIT_FSIZE, size)


def open_files_limit(more: int) -> AbstractContextManager[None]:
    """Limit the open files of the process to those open now plus `more`."""
    return limit(resource.RLIMIT_NOFILE, len(list(Path("/dev/fd").iterdir())) + more)
