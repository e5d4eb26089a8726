"""Queue of a command's runs, which are handed to workers, and again if a worker dies.

A run whose worker died resumes from its checkpoint. If its workers die three times in a row without progress, the run
is FAILED; the others continue.
"""

import math
from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from pgexp.execution.jobs import Job, Task
from pgexp.execution.results import read_result
from pgexp.execution.run_writer import RunWriter, checkpoint_path
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit, TaskHandle, Workers, WorkersError
from pgexp.runs.run_log import RunState
from pgexp.schema.errors import UserError
from pgexp.schema.names import ROWS_FILE

_POLL_SECONDS = 0.1
_RETRY_SECONDS = 30.0  # until a task is submitted again that workers refused while others train
_MAX_DEATHS = 3  # of a run's workers in a row without progress
_STEPS_PER_EPISODE = 100  # estimate of the length of a run whose budget is in episodes


@dataclass
class _Run:
    """A job that waits or trains, and how often in a row its workers have died without progress."""

    job: Job
    deaths: int = 0
    progress: object = None

    @property
    def steps(self) -> int:
        budget = self.job.config.budget
        return budget.steps if budget.steps is not None else _STEPS_PER_EPISODE * (budget.episodes or 0)


@dataclass
class Scheduler:
    """Queue of runs and their tasks. Long runs are handed out first, and one by one.

    Short runs are handed out several at a time, until their budgets add up to `Workers.min_steps`.
    """

    workers: Workers
    folder: Path  # of the sweep
    token: str  # of the command, see `lease`
    path: Sequence[str]  # import path of the command
    _waiting: deque[_Run] = field(default_factory=deque)
    _training: list[tuple[Sequence[_Run], TaskHandle]] = field(default_factory=list)
    _submit_after: float = 0.0
    _tasks: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether a run waits or trains."""
        return bool(self._waiting or self._training)

    @property
    def unfinished(self) -> int:
        """The number of runs that wait or train."""
        return len(self._waiting) + sum(len(runs) for runs, _ in self._training)

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs."""
        self._waiting.extend(sorted(map(_Run, jobs), key=lambda run: -run.steps))

    def remove(self, jobs: Container[Job]) -> list[Job]:
        """Remove jobs from the queue and return those that waited. Jobs in training are not affected."""
        removed = [run.job for run in self._waiting if run.job in jobs]
        self._waiting = deque(run for run in self._waiting if run.job not in jobs)
        return removed

    def advance(self) -> list[Job]:
        """Submit waiting runs, wait for a moment, and return the jobs that have ended, FINISHED or FAILED.

        Raises WorkersError, and UserError if no worker is available.
        """
        self._submit()
        self.workers.wait(_POLL_SECONDS)
        ended: list[Job] = []
        for runs, handle in [*self._training]:
            end = handle.poll()
            if end is not None:
                self._training.remove((runs, handle))
                ended += self._handle_exit(runs, end)
        return ended

    def stop(self) -> None:
        """Stop the runs in training with checkpoints. If the wait for that is interrupted, kill them."""
        self._waiting.clear()
        if not self._training:
            return
        lease.release(self.folder)
        for _, handle in self._training:
            handle.cancel()
        try:
            while self._training:
                self._training = [each for each in self._training if each[1].poll() is None]
                self.workers.wait(_POLL_SECONDS)
        finally:
            for _, handle in self._training:
                handle.kill()

    def _submit(self) -> None:
        while self._waiting and len(self._training) < self.workers.count and monotonic() >= self._submit_after:
            runs = self._next_runs()
            self._tasks += 1
            jobs = tuple(run.job for run in runs)
            try:
                handle = self.workers.start(Task(self.token, self._tasks, self.folder, jobs, tuple(self.path)))
            except (UserError, WorkersError):
                self._waiting.extendleft(reversed(runs))
                if not self._training:
                    raise
                self._submit_after = monotonic() + _RETRY_SECONDS  # a cluster's queue may be full
                return
            self._training.append((runs, handle))

    def _next_runs(self) -> list[_Run]:
        """Take from the queue the runs of one task: one run, or short ones, but not the share of other workers."""
        runs = [self._waiting.popleft()]
        share = math.ceil(len(self._waiting) / (2 * self.workers.count))
        steps = runs[0].steps
        while runs[-1].deaths == 0 and len(runs) < share and steps < self.workers.min_steps:
            if self._waiting[0].deaths:
                break
            runs.append(self._waiting.popleft())
            steps += runs[-1].steps
        for run in runs:
            run.progress = _progress(run.job)
        return runs

    def _handle_exit(self, runs: Sequence[_Run], end: TaskExit) -> list[Job]:
        """Return the jobs of a task that have ended; queue those that a dead worker left."""
        if end.status == "failed":
            raise WorkersError(end.reason)
        if end.status != "died":
            return [run.job for run in runs]
        left = [run for run in runs if not _has_ended(run.job)]
        ended = [run.job for run in runs if run not in left]
        if not left:
            return ended
        first, *others = left  # the first one was in training, since they train one after the other
        first.deaths = first.deaths + 1 if _progress(first.job) == first.progress else 1
        if first.deaths == _MAX_DEATHS:
            RunWriter(first.job.folder).end(RunState.FAILED, f"its worker died {_MAX_DEATHS} times: {end.reason}")
            ended.append(first.job)
        else:
            others.insert(0, first)
        self._waiting.extendleft(reversed(others))
        return ended


def _progress(job: Job) -> object:
    """Return a value that changes with each row and each checkpoint of a run."""
    rows, checkpoint = job.folder / ROWS_FILE, checkpoint_path(job.folder, "last")
    size = rows.stat().st_size if rows.exists() else 0
    return size, checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0


def _has_ended(job: Job) -> bool:
    """Return whether a run has FINISHED, or has FAILED, which this command does not try again."""
    end = read_result(job.folder).end
    return end is not None and end.status != RunState.KILLED
