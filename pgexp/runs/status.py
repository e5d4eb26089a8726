"""Status of a sweep's runs during and after training, read from the ends of their logs."""

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pgexp.runs.manifest import CachedRun, SweepManifest
from pgexp.runs.run_log import End, Item, Phase, Row, RunLogTail, RunState
from pgexp.schema import names

_IDLE_SECONDS = 300.0  # plus ten usual updates: after so long without a row, a run is not training


@dataclass(frozen=True)
class RunStatus:
    """Status of a run."""

    state: RunState
    steps: int = 0
    progress: float = 0.0  # steps divided by its budget, 0 to 1
    steps_per_second: float | None = None  # of its latest update; None if it is not training
    return_mean: float | None = None  # of its latest update with a return
    score: float | None = None  # mean return of the final evaluation
    end: End | None = None

    @property
    def is_over(self) -> bool:
        """Whether a resumption would change nothing."""
        return self.end is not None and self.end.complete


@dataclass(frozen=True)
class SweepStatus:
    """Status of a sweep's runs, in the order of the manifest's `members`."""

    runs: Sequence[RunStatus]

    def count(self, state: RunState) -> int:
        """Return the number of runs in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def is_over(self) -> bool:
        """Whether a resumption of any run would change nothing."""
        return all(run.is_over for run in self.runs)

    @cached_property
    def share(self) -> float:
        """Spent share of all budgets. A run that cannot be continued counts as spent."""
        return 1 - self._left / len(self.runs)

    @cached_property
    def steps_per_second(self) -> float:
        """Training steps per second of all runs together."""
        return sum(run.steps_per_second or 0.0 for run in self.runs)

    @cached_property
    def return_mean(self) -> float | None:
        """Mean of the latest training returns of the running runs, or None if there is none."""
        returns = [
            run.return_mean for run in self.runs if run.state == RunState.RUNNING and run.return_mean is not None
        ]
        return sum(returns) / len(returns) if returns else None

    @cached_property
    def seconds_left(self) -> float | None:
        """Remaining time at the current speed, or None if it is unknown."""
        pace = sum(
            run.steps_per_second * run.progress / run.steps
            for run in self.runs
            if run.steps_per_second is not None and run.steps
        )
        return self._left / pace if pace else None

    def abandoned(self) -> "SweepStatus":
        """Return the status if no process trains the runs: a running one was killed before it could log its end."""
        return SweepStatus(
            [
                replace(run, state=RunState.KILLED, steps_per_second=None) if run.state == RunState.RUNNING else run
                for run in self.runs
            ]
        )

    @cached_property
    def _left(self) -> float:
        return sum(1 - run.progress for run in self.runs if not run.is_over)


class StatusReader:
    """Reader of a sweep's status, which can be called often while runs train."""

    def __init__(self, manifest: SweepManifest) -> None:
        self._runs: list[_RunStatusReader] = []
        self._cached: list[RunStatus] = []
        self.extend(manifest)

    def extend(self, manifest: SweepManifest) -> None:
        """Include the runs that were added to the manifest."""
        new = manifest.runs[len(self._runs) :]
        self._runs += [_RunStatusReader(manifest.folder_of(run) / names.ROWS_FILE) for run in new]
        self._cached = [_cached_status(run) for run in manifest.cached]

    def read(self) -> SweepStatus:
        """Return the current status. Only the last lines of logs that have grown are read.

        Raises OSError with the file's name if a log cannot be read.
        """
        now = time.time()
        return SweepStatus([*(run.read(now) for run in self._runs), *self._cached])


class _RunStatusReader:
    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._tail = RunLogTail(path)
        self._size = 0
        self._rate: float | None = None  # steps per second of the latest update
        self._until = 0.0  # seconds since the epoch until which the run counts as training
        self._status = RunStatus(RunState.SCHEDULED)

    def read(self, now: float) -> RunStatus:
        """Return the status at a time in seconds since the epoch."""
        if self._status.is_over:
            return self._status
        try:
            size = os.stat(self._path).st_size  # noqa: PTH116 (Path.stat takes twice as long, and there are many)
        except FileNotFoundError:
            return self._status
        if size != self._size:
            self._size = size
            self._update(_latest_items(self._tail.read()))
        status = self._status
        is_training = status.state == RunState.RUNNING and status.progress < 1 and now < self._until
        rate = self._rate if is_training else None
        if rate != status.steps_per_second:
            self._status = replace(status, steps_per_second=rate)
        return self._status

    def _update(self, latest: "_LatestItems") -> None:
        item, training, returned, final = latest
        if item is None:  # the log has an incomplete line only
            return
        if training is not None:
            self._rate = training.metrics.get(names.STEPS_PER_SECOND)
            self._until = training.time / 1000 + _IDLE_SECONDS + 10 * _seconds_per_update(training)
        before = self._status
        self._status = RunStatus(
            state=item.status if isinstance(item, End) else RunState.RUNNING,
            steps=training.steps if training else before.steps,
            progress=min(1.0, training.progress) if training else before.progress,
            return_mean=_finite(returned, names.RETURN_MEAN) if returned else before.return_mean,
            score=_finite(final, names.FINAL_RETURN) if final else None if training else before.score,
            end=item if isinstance(item, End) else None,
        )


class _LatestItems(NamedTuple):
    item: Item | None = None
    training: Row | None = None
    returned: Row | None = None  # with a mean return of training
    final: Row | None = None


def _latest_items(latest_first: Iterator[Item]) -> _LatestItems:
    """Return the latest items, and consume no more items than that needs."""
    found = _LatestItems()
    for item in latest_first:
        found = found._replace(item=found.item or item)
        if not isinstance(item, Row):
            continue
        if item.phase == Phase.TRAINING:
            found = found._replace(training=found.training or item)
        elif found.training is None and names.FINAL_RETURN in item.metrics:  # not of a budget that was extended since
            found = found._replace(final=found.final or item)
        if names.RETURN_MEAN in item.metrics:
            return found._replace(returned=item)
    return found


def _finite(row: Row, name: str) -> float | None:
    value = row.metrics[name]
    return value if math.isfinite(value) else None


def _seconds_per_update(row: Row) -> float:
    updates, rate = row.metrics.get(names.UPDATES), row.metrics.get(names.STEPS_PER_SECOND)
    return row.steps / updates / rate if updates and rate else 0.0


def _cached_status(run: CachedRun) -> RunStatus:
    end = End(RunState.FINISHED, time=0, complete=True)
    return RunStatus(RunState.FINISHED, progress=1.0, score=run.score, end=end)


@dataclass(frozen=True)
class ConfigurationStatus:
    """Status of a configuration's seeds."""

    name: str
    seeds: SweepStatus

    @cached_property
    def scores(self) -> Sequence[float]:
        """Final scores of the seeds that have finished."""
        return [run.score for run in self.seeds.runs if run.state == RunState.FINISHED and run.score is not None]

    @cached_property
    def score(self) -> float | None:
        """Mean of the final scores, or None if there is none."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def return_mean(self) -> float | None:
        """Mean of the latest training returns of the running seeds, or None if there is none."""
        return self.seeds.return_mean


def leaderboard(manifest: SweepManifest, status: SweepStatus) -> list[ConfigurationStatus]:
    """Return the configurations: those with final scores, best first, followed by the others by training return.

    Configurations with equal values, or with none, keep their order.
    """
    groups: dict[str, tuple[str, list[RunStatus]]] = {}
    for run, run_status in zip(manifest.members, status.runs, strict=True):
        groups.setdefault(run.configuration, (run.configuration_name, []))[1].append(run_status)
    return sorted((ConfigurationStatus(name, SweepStatus(runs)) for name, runs in groups.values()), key=_rank)


def _rank(configuration: ConfigurationStatus) -> tuple[int, float]:
    if configuration.score is not None:
        return 0, -configuration.score
    return_mean = configuration.return_mean
    return (1, -return_mean) if return_mean is not None else (2, 0.0)
