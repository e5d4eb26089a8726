"""Append-only log of a run: one JSON object per line for each row of metrics, end and resumption.

The log is the durable record of a run. An appended row survives any end of the process, without waiting for a disk or a
server. Files are not kept open, because a sweep has thousands of runs and a process may hold about as many files. To
open a log, append a line and close it takes some ten microseconds.
"""

import errno
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from pgexp.runs.files import named_errors
from pgexp.runs.secrets import mask_uri

_LARGEST = 2**63 - 1  # of an integer column in a table
_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # not in JSON
_BLOCK = 4096  # bytes of the first read from the end: several rows; each further read has twice as many


class RunState(StrEnum):
    """State of a run, by MLflow's names, and PRUNED for a run that a search stopped early."""

    SCHEDULED = "SCHEDULED"  # has no rows
    RUNNING = "RUNNING"  # has rows and no end
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    PRUNED = "PRUNED"


class Phase(StrEnum):
    """Phase of a run to which a row belongs."""

    TRAINING = "training"  # an update
    EVALUATION = "evaluation"  # an evaluation during training
    FINAL = "final"  # the evaluation after training


_END_STATES = frozenset(RunState) - {RunState.SCHEDULED, RunState.RUNNING}


@dataclass(frozen=True)
class Row:
    """Metrics of a run after a number of training steps. A metric that cannot be computed is absent."""

    steps: int
    progress: float  # steps divided by the run's budget
    time: int  # milliseconds since the epoch
    metrics: dict[str, float]  # those named timing/... depend on the machine
    phase: Phase = Phase.TRAINING


@dataclass(frozen=True)
class End:
    """End of a run."""

    status: RunState
    time: int  # milliseconds since the epoch
    reason: str = ""
    complete: bool = False  # whether a resumption would change nothing: the budget is spent, or the failure is final


@dataclass(frozen=True)
class Resumed:
    """Resumption of a run that had ended. The following rows are new."""

    time: int  # milliseconds since the epoch


Item = Row | End | Resumed


class RunLogWriter:
    """Writer that appends to a run's log. Appended entries survive the end of the process."""

    def __init__(self, path: Path) -> None:
        """Start or continue a log. An incomplete last line, left by a killed writer, is removed."""
        self._path = path
        self._time = 0  # of the last line: times never decrease, even if the clock is set back
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._time = max((item.time for item in RunLogReader(path).read()), default=0)
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def append(self, row: Row) -> None:
        """Append a row."""
        self._time = max(self._time, row.time)
        metrics = {name: _encode(value) for name, value in row.metrics.items()}
        fields = {"phase": row.phase, "steps": row.steps, "progress": row.progress}
        self._write({**fields, "time": self._time, "metrics": metrics})

    def end(self, status: RunState, reason: str = "", complete: bool = False) -> None:
        """Append the run's end. Passwords in URIs of the reason are masked."""
        self._write({"end": status, "time": self._now(), "reason": mask_uri(reason), "complete": complete})

    def resumed(self) -> None:
        """Append that the run resumes."""
        self._write({"resumed": self._now()})

    def _now(self) -> int:
        self._time = max(self._time, time.time_ns() // 1_000_000)
        return self._time

    def _write(self, fields: dict[str, Any]) -> None:
        line = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with named_errors(self._path), self._path.open("ab", buffering=0) as file:
            start = file.tell()
            if file.write(line) < len(line):  # the disk is full: remove the incomplete line
                file.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))


class RunLogReader:
    """Reader of a growing run log."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning of a log, which may not exist yet."""
        self._path = path
        self._lines = 0
        self._offset = 0
        self._file_state = (0, 0)  # size and modification time at the last read: most of ten thousand logs are idle

    @property
    def offset(self) -> int:
        """Number of bytes read."""
        return self._offset

    def read(self) -> list[Item]:
        """Return the items that were completed since the last call.

        Raises ValueError with the file and line if a line is damaged.
        """
        if (state := self._stat()) == self._file_state:
            return []
        lines = self._unread_lines()
        items = []
        for number, line in enumerate(lines, self._lines + 1):
            try:
                items.append(decode(line))
            except ValueError as error:
                raise ValueError(f"{self._path}, line {number}: {error}") from error
        self._file_state = state
        self._advance(lines)
        return items

    def read_intact(self) -> list[Item]:
        """Return the items that were completed since the last call, up to the first damaged line."""
        lines = self._unread_lines()
        items: list[Item] = []
        with suppress(ValueError):
            for line in lines:
                items.append(decode(line))
        self._advance(lines[: len(items)])
        return items

    def _stat(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    def _unread_lines(self) -> list[bytes]:
        if not self._path.exists():
            return []
        with named_errors(self._path), self._path.open("rb") as file:
            file.seek(self._offset)
            return file.read().split(b"\n")[:-1]  # an incomplete line is left for the next call

    def _advance(self, lines: list[bytes]) -> None:
        self._lines += len(lines)
        self._offset += sum(len(line) + 1 for line in lines)


class RunLogTail:
    """Reader of a growing run log from its end: a run's status is in its last lines, and a log may have 100,000."""

    def __init__(self, path: Path) -> None:
        """Start with nothing read. The log may not exist yet."""
        self._path = path
        self._offset = 0

    def read(self) -> Iterator[Item]:
        """Yield the items that were completed since the last call, latest first. Damaged lines are skipped.

        Items that the caller does not consume are not yielded again.
        """
        with named_errors(self._path), self._path.open("rb") as file:
            start = self._offset
            self._offset = _end_of_lines(file, start, file.seek(0, os.SEEK_END))
            for line in _reversed_lines(file, start, self._offset):
                with suppress(ValueError):
                    yield decode(line)


def _end_of_lines(file: BinaryIO, start: int, end: int) -> int:
    """Return the offset after the last complete line between two offsets."""
    while end > start:
        begin = max(start, end - _BLOCK)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return start


def _reversed_lines(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the complete lines between two offsets, last first."""
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


def decode(line: bytes) -> Item:
    """Return the item in a line of a run log. Raises ValueError if the line is damaged."""
    try:
        return _decode(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a line of a run log: {line[:100].decode(errors='replace')}") from error


def _encode(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decode(fields: dict[str, Any]) -> Item:
    if "end" in fields:
        status = RunState(fields["end"])
        if status not in _END_STATES:
            raise ValueError(status)
        return End(status, _integer(fields["time"]), str(fields["reason"]), fields["complete"] is True)
    if "resumed" in fields:
        return Resumed(_integer(fields["resumed"]))
    values = fields["metrics"].items()
    metrics = {name: _NONFINITE[value] if isinstance(value, str) else float(value) for name, value in values}
    if not math.isfinite(progress := fields["progress"]):
        raise ValueError(progress)
    phase = Phase(fields["phase"])
    return Row(_integer(fields["steps"]), float(progress), _integer(fields["time"]), metrics, phase)


def _integer(value: Any) -> int:
    if not (isinstance(value, int) and 0 <= value <= _LARGEST):
        raise ValueError(value)
    return value
