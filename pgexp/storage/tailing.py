"""Reads a spool from its end: how a run stands is in its last lines, and a spool may hold a hundred thousand."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pgexp.storage.files import naming
from pgexp.storage.spool import Item, decode

_BLOCK = 4096  # bytes that are read first: some rows; then twice as many, and so on


class SpoolTail:
    """Reads what is new in a spool, the newest first."""

    def __init__(self, path: Path) -> None:
        """Start with nothing read; the spool may not exist yet."""
        self._path = path
        self._offset = 0

    def read(self) -> Iterator[Item]:
        """Yield what was completed since the last call, the newest first, for as long as the caller wants more.

        What the caller does not take is not yielded again. Damaged lines are left out.
        """
        with naming(self._path), self._path.open("rb") as file:
            start = self._offset
            self._offset = _end_of_lines(file, start, file.seek(0, os.SEEK_END))
            for line in _newest_first(file, start, self._offset):
                with suppress(ValueError):
                    yield decode(line)


def _end_of_lines(file: BinaryIO, start: int, end: int) -> int:
    """Return the offset behind the last whole line between two offsets."""
    while end > start:
        begin = max(start, end - _BLOCK)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return start


def _newest_first(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines between two offsets at which lines begin, the last first."""
    if start == end:
        return
    end -= 1  # the last newline
    first, size = b"", _BLOCK
    while end > start:
        begin = max(start, end - size)
        file.seek(begin)
        first, *lines = (file.read(end - begin) + first).split(b"\n")
        yield from reversed(lines)
        end, size = begin, 2 * size
    yield first
