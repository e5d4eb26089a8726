"""Queue of a command's runs: hands them to workers, and hands a run out again where its worker dies.

A run whose worker died goes on from its checkpoint. One that kills its worker three times, without getting any further
in between, fails alone.
"""

import math
from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from pgexp.execution import commanding
from pgexp.execution.checkpoints import checkpoint_path
from pgexp.execution.journal import Journal
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.report import read_result
from pgexp.execution.workers.workers import Assignment, Ended, Workers, WorkersError
from pgexp.schema.errors import ConfigError
from pgexp.schema.names import ROWS_FILE

_PERIOD = 0.1  # seconds between two looks at workers that can't wake the scheduler up
_REFUSED = 30.0  # seconds until a run is offered again that workers would not take, while others have theirs
_DEATHS = 3  # of a run's workers in a row, without getting any further, after which it has failed
_STEPS_OF_EPISODE = 100  # by which the length of a run is estimated whose budget is in episodes


@dataclass
class _Task:
    """A run that waits or trains, and how often in a row its workers have died since it last got on."""

    job: Job
    deaths: int = 0
    reached: object = None

    @property
    def steps(self) -> int:
        budget = self.job.config.budget
        return budget.steps if budget.steps is not None else _STEPS_OF_EPISODE * (budget.episodes or 0)


@dataclass
class Scheduler:
    """The runs that wait, and those that workers train.

    Runs are handed out one by one, the longest first; short ones a few at a time, until their budgets add up to
    `Workers.least_steps`.
    """

    workers: Workers
    folder: Path  # of the record that the runs are of
    token: str  # of the command, see `commanding`
    path: Sequence[str]  # the import path of the command
    _waiting: deque[_Task] = field(default_factory=deque)
    _working: list[tuple[Sequence[_Task], Assignment]] = field(default_factory=list)
    _due: float = 0.0  # when runs may be handed out again
    _orders: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether a run waits or trains."""
        return bool(self._waiting or self._working)

    @property
    def unfinished(self) -> int:
        """The number of runs that wait or train."""
        return len(self._waiting) + sum(len(tasks) for tasks, _ in self._working)

    def withdraw(self, jobs: Container[Job]) -> list[Job]:
        """Take jobs out of the queue; return those of them that waited. The others are left alone."""
        taken = [task.job for task in self._waiting if task.job in jobs]
        self._waiting = deque(task for task in self._waiting if task.job not in jobs)
        return taken

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue more runs."""
        self._waiting.extend(sorted(map(_Task, jobs), key=lambda task: -task.steps))

    def advance(self) -> list[Job]:
        """Hand out what waits, wait for a moment, and return the runs that have ended since, well or not.

        Raises WorkersError, and ConfigError where no worker can be had.
        """
        self._hand_out()
        self.workers.wait(_PERIOD)
        over: list[Job] = []
        for tasks, assignment in [*self._working]:
            ended = assignment.ended()
            if ended is not None:
                self._working.remove((tasks, assignment))
                over += self._taken_in(tasks, ended)
        return over

    def dismiss(self) -> None:
        """Let what trains keep a checkpoint, and stop; end it at once if waiting for that is interrupted."""
        self._waiting.clear()
        if not self._working:
            return
        commanding.dismiss(self.folder)
        for _, assignment in self._working:
            assignment.withdraw()
        try:
            while self._working:
                self._working = [each for each in self._working if each[1].ended() is None]
                self.workers.wait(_PERIOD)
        finally:
            for _, assignment in self._working:
                assignment.kill()

    def _hand_out(self) -> None:
        while self._waiting and len(self._working) < self.workers.count and monotonic() >= self._due:
            tasks = self._next()
            try:
                assignment = self.workers.start(self._order(tasks))
            except (ConfigError, WorkersError):
                self._waiting.extendleft(reversed(tasks))
                if not self._working:
                    raise
                self._due = monotonic() + _REFUSED  # a queue may be full; nothing is lost by waiting
                return
            self._working.append((tasks, assignment))

    def _next(self) -> list[_Task]:
        """Take from the queue what one worker gets: a run, or short ones, but not the others' share of them."""
        tasks = [self._waiting.popleft()]
        share = math.ceil(len(self._waiting) / (2 * self.workers.count))
        steps = tasks[0].steps
        while tasks[-1].deaths == 0 and len(tasks) < share and steps < self.workers.least_steps:
            if self._waiting[0].deaths:
                break
            tasks.append(self._waiting.popleft())
            steps += tasks[-1].steps
        for task in tasks:
            task.reached = _reached(task.job)
        return tasks

    def _order(self, tasks: Sequence[_Task]) -> Order:
        self._orders += 1
        return Order(self.token, self._orders, self.folder, tuple(task.job for task in tasks), tuple(self.path))

    def _taken_in(self, tasks: Sequence[_Task], ended: Ended) -> list[Job]:
        """Return the runs that are over; those that a dead worker left wait again."""
        if ended.how == "failed":
            raise WorkersError(ended.reason)
        if ended.how != "died":
            return [task.job for task in tasks]
        left = [task for task in tasks if not _is_over(task.job)]
        over = [task.job for task in tasks if task not in left]
        if not left:
            return over
        first, *others = left  # the first is the one that trained: they do one after the other
        first.deaths = first.deaths + 1 if _reached(first.job) == first.reached else 1
        if first.deaths == _DEATHS:
            Journal(first.job.folder).end("FAILED", f"its worker died {_DEATHS} times: {ended.reason}")
            over.append(first.job)
        else:
            others.insert(0, first)
        self._waiting.extendleft(reversed(others))
        return over


def _reached(job: Job) -> object:
    """Return what changes whenever a run gets on: the size of its rows, and the time of its checkpoint."""
    rows, checkpoint = job.folder / ROWS_FILE, checkpoint_path(job.folder, "last")
    size = rows.stat().st_size if rows.exists() else 0
    return size, checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0


def _is_over(job: Job) -> bool:
    """Return whether this command is done with a run: it has finished, or failed, which is not tried again here."""
    end = read_result(job.folder).end
    return end is not None and end.status != "KILLED"
