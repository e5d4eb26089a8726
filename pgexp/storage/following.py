"""How a record's runs stand, read from their folders as they grow, cheaply: by whoever shows or conducts a sweep."""

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from pgexp.schema import names
from pgexp.storage.record import Record, ReusedRun
from pgexp.storage.spool import End, Item, Row
from pgexp.storage.tailing import SpoolTail

RunState = Literal["waiting", "running", "finished", "failed", "killed", "pruned"]

_ENDED: dict[str, RunState] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed", "PRUNED": "pruned"}
_LONGEST = 300.0  # seconds without a row after which, ten usual updates on top, a run does not train now


@dataclass(frozen=True)
class RunStanding:
    """How one run stands."""

    state: RunState  # waiting: it has no rows. running: it has some, and no end
    steps: int = 0
    progress: float = 0.0  # steps over its budget, 0 to 1
    steps_per_second: float | None = None  # by its latest training row; None where it does not train now
    return_mean: float | None = None  # the latest mean return of training
    score: float | None = None  # final/return_mean
    end: End | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.end is not None and self.end.complete


@dataclass(frozen=True)
class Standing:
    """How a record's runs stand, in the record's order, and after them those that it reuses."""

    runs: Sequence[RunStanding]

    def count(self, state: RunState) -> int:
        """Return how many runs are in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def is_over(self) -> bool:
        """Whether nothing of any run is left to do."""
        return all(run.is_over for run in self.runs)

    @cached_property
    def share(self) -> float:
        """The share of all budgets that is spent; a run that can't go on has nothing left to spend."""
        return 1 - self._left / len(self.runs)

    @cached_property
    def steps_per_second(self) -> float:
        """Training steps a second, of all runs that train now."""
        return sum(run.steps_per_second or 0.0 for run in self.runs)

    @cached_property
    def return_mean(self) -> float | None:
        """The mean of the latest training returns of the runs that are running, None where there is none."""
        returns = [run.return_mean for run in self.runs if run.state == "running" and run.return_mean is not None]
        return sum(returns) / len(returns) if returns else None

    @cached_property
    def seconds_left(self) -> float | None:
        """The time that is left if budgets are spent as fast as now, None where that can't be told."""
        pace = sum(
            run.steps_per_second * run.progress / run.steps
            for run in self.runs
            if run.steps_per_second is not None and run.steps
        )
        return self._left / pace if pace else None

    def abandoned(self) -> "Standing":
        """Return how they stand if nobody trains them: what was running was killed, and could not say so."""
        return Standing([_abandoned(run) for run in self.runs])

    @cached_property
    def _left(self) -> float:
        return sum(1 - run.progress for run in self.runs if not run.is_over)


class Following:
    """Follows a record's runs."""

    def __init__(self, record: Record) -> None:
        """Take a written record; nothing is read yet."""
        self._runs = [_Run(record.folder_of(run) / names.ROWS_FILE) for run in record.runs]
        self._reused = [_reused(run) for run in record.reused]

    def extend(self, record: Record) -> None:
        """Follow the runs, too, that were added to the record."""
        self._runs += [_Run(record.folder_of(run) / names.ROWS_FILE) for run in record.runs[len(self._runs) :]]
        self._reused = [_reused(run) for run in record.reused]

    def look(self) -> Standing:
        """Read what has changed since the last look, and return how the runs stand.

        Only the spools of runs that may go on are looked at, and only the last lines of those that have grown are read.
        An OSError names a spool that can't be read.
        """
        now = time.time()
        return Standing([*(run.look(now) for run in self._runs), *self._reused])


class _Run:
    """One run as it was last seen."""

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._tail = SpoolTail(path)
        self._size = 0
        self._rate: float | None = None  # of its latest training row
        self._until = 0.0  # seconds since the epoch: for so long it is taken to train on as fast
        self._standing = RunStanding("waiting")

    def look(self, now: float) -> RunStanding:
        """Return how it stands at a time, in seconds since the epoch."""
        if self._standing.is_over:
            return self._standing
        try:
            size = os.stat(self._path).st_size  # noqa: PTH116 (a Path's takes twice as long, and they may be many)
        except FileNotFoundError:
            return self._standing
        if size != self._size:
            self._size = size
            self._take(_latest(self._tail.read()))
        standing = self._standing
        trains = standing.state == "running" and standing.progress < 1 and now < self._until
        rate = self._rate if trains else None
        if rate != standing.steps_per_second:
            self._standing = replace(standing, steps_per_second=rate)
        return self._standing

    def _take(self, latest: "_Latest") -> None:
        item, training, returned, final = latest
        if item is None:  # nothing but the beginning of a line
            return
        if training is not None:
            self._rate = training.metrics.get(names.STEPS_PER_SECOND)
            self._until = training.time / 1000 + _LONGEST + 10 * _seconds_an_update(training)
        before = self._standing
        self._standing = RunStanding(
            state=_ENDED[item.status] if isinstance(item, End) else "running",
            steps=training.steps if training else before.steps,
            progress=min(1.0, training.progress) if training else before.progress,
            return_mean=_finite(returned, names.RETURN_MEAN) if returned else before.return_mean,
            score=_finite(final, names.FINAL_RETURN) if final else None if training else before.score,
            end=item if isinstance(item, End) else None,
        )


class _Latest(NamedTuple):
    """What is latest among a run's items: of all, of training, with a mean return, and of its end's evaluation."""

    item: Item | None = None
    training: Row | None = None
    returned: Row | None = None
    final: Row | None = None


def _latest(newest_first: Iterator[Item]) -> _Latest:
    """Return what is latest, having taken no more items than that needs."""
    found = _Latest()
    for item in newest_first:
        found = found._replace(item=found.item or item)
        if not isinstance(item, Row):
            continue
        if next(iter(item.metrics), "").partition("/")[0] not in (names.EVALUATION, names.FINAL):
            found = found._replace(training=found.training or item)
        elif found.training is None and names.FINAL_RETURN in item.metrics:  # one that trained on has no final score
            found = found._replace(final=found.final or item)
        if names.RETURN_MEAN in item.metrics:
            return found._replace(returned=item)
    return found


def _finite(row: Row, name: str) -> float | None:
    """Return a metric, or None where it is no number that could be ranked."""
    return row.metrics[name] if math.isfinite(row.metrics[name]) else None


def _seconds_an_update(row: Row) -> float:
    updates, rate = row.metrics.get(names.UPDATES), row.metrics.get(names.STEPS_PER_SECOND)
    return row.steps / updates / rate if updates and rate else 0.0


def _reused(run: ReusedRun) -> RunStanding:
    return RunStanding("finished", progress=1.0, score=run.score, end=End("FINISHED", time=0, complete=True))


def _abandoned(run: RunStanding) -> RunStanding:
    return replace(run, state="killed", steps_per_second=None) if run.state == "running" else run
