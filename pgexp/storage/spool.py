"""The spool: a run's rows, one JSON object a line, in a file that is only ever appended to.

It is the durable record of a run: a row that was appended survives the end of the process in any way, without
waiting for a disk or a server. Neither side keeps the file open, because a sweep has a thousand runs and a
process may hold about as many files. To open, append a whole line and close costs some ten microseconds.
"""

import errno
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pgexp.storage.files import naming
from pgexp.storage.secrets import mask_uri

Status = Literal["FINISHED", "KILLED", "FAILED", "PRUNED"]

_STATUSES: tuple[Status, ...] = ("FINISHED", "KILLED", "FAILED", "PRUNED")
_LARGEST = 2**63 - 1  # what a column of a table holds
_NAMED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # JSON has no such numbers


@dataclass(frozen=True)
class Row:
    """What was measured of a run after some steps; a metric that could not be computed is absent."""

    steps: int
    progress: float  # steps over the run's budget
    time: int  # milliseconds since the epoch
    metrics: dict[str, float]  # those named timing/... depend on the machine and the day


@dataclass(frozen=True)
class End:
    """How a run ended, and when."""

    status: Status
    time: int  # milliseconds since the epoch
    reason: str = ""
    complete: bool = False  # nothing is left to do: its budget is spent, or it can't go on


@dataclass(frozen=True)
class Resumed:
    """A run that had ended goes on; it repeats none of the rows before."""

    time: int  # milliseconds since the epoch


Item = Row | End | Resumed


class SpoolWriter:
    """Appends a run's rows to its spool; once appended, a row survives the process."""

    def __init__(self, path: Path) -> None:
        """Begin a spool, or go on with one; a line that its last writer was killed in is cut off."""
        self._path = path
        self._time = 0  # of the last line: the clock may be set back, a record does not go back
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._time = max((item.time for item in SpoolReader(path).read()), default=0)
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def append(self, row: Row) -> None:
        """Append a row."""
        self._time = max(self._time, row.time)
        metrics = {name: _encode(value) for name, value in row.metrics.items()}
        self._write({"steps": row.steps, "progress": row.progress, "time": self._time, "metrics": metrics})

    def end(self, status: Status, reason: str = "", complete: bool = False) -> None:
        """Append the run's end, as of now; the reason may be an error's text, and name a URI with its password."""
        self._write({"end": status, "time": self._now(), "reason": mask_uri(reason), "complete": complete})

    def resumed(self) -> None:
        """Append that the run goes on, as of now."""
        self._write({"resumed": self._now()})

    def _now(self) -> int:
        self._time = max(self._time, time.time_ns() // 1_000_000)
        return self._time

    def _write(self, fields: dict[str, Any]) -> None:
        line = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with naming(self._path), self._path.open("ab", buffering=0) as file:
            start = file.tell()
            if file.write(line) < len(line):  # a full disk: leave nothing that the next line would run into
                file.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))


class SpoolReader:
    """Reads a spool as it grows."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning of a spool, which may not exist yet."""
        self._path = path
        self._lines = 0
        self._offset = 0
        self._seen = (0, 0)  # the file's size and time of change at the last look: of ten thousand spools, few grow

    @property
    def offset(self) -> int:
        """The number of bytes consumed."""
        return self._offset

    def read(self) -> list[Item]:
        """Return what was completed since the last call; a ValueError names the file and line of damage."""
        if (state := self._state()) == self._seen:
            return []
        *lines, _incomplete = self._unread().split(b"\n")
        items = [self._item(line, number) for number, line in enumerate(lines, self._lines + 1)]
        self._seen = state
        self._lines += len(lines)
        self._offset += sum(len(line) + 1 for line in lines)
        return items

    def read_sound(self) -> list[Item]:
        """Return what was completed since the last call and stands before the first damaged line, if there is one."""
        *lines, _incomplete = self._unread().split(b"\n")
        items: list[Item] = []
        for number, line in enumerate(lines, self._lines + 1):
            try:
                items.append(self._item(line, number))
            except ValueError:
                break
        self._lines += len(items)
        self._offset += sum(len(line) + 1 for line in lines[: len(items)])
        return items

    def _state(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def _unread(self) -> bytes:
        if not self._path.exists():
            return b""
        with naming(self._path), self._path.open("rb") as file:
            file.seek(self._offset)
            return file.read()

    def _item(self, line: bytes, number: int) -> Item:
        try:
            return decode(line)
        except ValueError as error:
            raise ValueError(f"{self._path}, line {number}: {error}") from error


def decode(line: bytes) -> Item:
    """Return what a spool's line says; a ValueError says that it is damaged."""
    try:
        return _decode(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a line of a spool: {line[:100].decode(errors='replace')}") from error


def _encode(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decode(fields: dict[str, Any]) -> Item:
    if "end" in fields:
        return End(
            _STATUSES[_STATUSES.index(fields["end"])],
            _whole(fields["time"]),
            str(fields["reason"]),
            fields.get("complete") is True,  # older spools do not have it
        )
    if "resumed" in fields:
        return Resumed(_whole(fields["resumed"]))
    values = fields["metrics"].items()
    metrics = {name: _NAMED[value] if isinstance(value, str) else float(value) for name, value in values}
    return Row(_whole(fields["steps"]), _finite(fields["progress"]), _whole(fields["time"]), metrics)


def _whole(value: Any) -> int:
    if not (isinstance(value, int) and 0 <= value <= _LARGEST):
        raise ValueError
    return value


def _finite(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError
    return float(value)
