"""Limits of what a process may take, for as long as a test needs them."""

import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


@contextmanager
def limit(which: int, soft: int) -> Iterator[None]:
    before, hard = resource.getrlimit(which)
    resource.setrlimit(which, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (before, hard))


def file_size_limit(size: int) -> AbstractContextManager[None]:
    return limit(resource.RLIMIT_FSIZE, size)


def open_files_limit(more: int) -> AbstractContextManager[None]:
    return limit(resource.RLIMIT_NOFILE, len(list(Path("/dev/fd").iterdir())) + more)
