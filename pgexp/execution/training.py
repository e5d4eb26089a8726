"""Training of a command's runs: validation, records, the queue, and MLflow export at the same time."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from pgexp.execution import commanding
from pgexp.execution.building import build
from pgexp.execution.interrupts import Interrupts
from pgexp.execution.journal import Journal
from pgexp.execution.plan import Job
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.recording import collected, write_record
from pgexp.execution.report import Report, Result, read_result
from pgexp.execution.reusing import Reuse, finished_of, told_apart
from pgexp.execution.scheduler import Scheduler
from pgexp.execution.validation import validate
from pgexp.execution.workers.own_process import OwnProcess
from pgexp.execution.workers.workers import Workers
from pgexp.schema.config import Option
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import RECORD_FILE
from pgexp.schema.sweep import Settings
from pgexp.storage import record
from pgexp.storage.finished import FinishedRun, Key, Unknown
from pgexp.storage.following import Following
from pgexp.storage.locking import BlockedError, blocked, held
from pgexp.storage.record import Record, require_new
from pgexp.storage.sink import SinkProcess, SinkState
from pgexp.storage.syncing import TRAINING_LOCK

_LOCK_CHECK = 0.5  # seconds for which a process that only checks the lock may hold it
_BETWEEN_LOOKS = 1.0  # seconds between two looks at the runs' folders
_SILENT = 45.0  # seconds that a command waits at its end for an exporter that makes no progress
_UNREACHABLE = 3.0  # seconds after which a store is reported as unreachable, and no longer waited for at the end

Known = Mapping[Key, FinishedRun] | Unknown
"""The runs that have finished before."""


def train_run(job: Job, console: Console) -> Report:
    """Train and record one run, in this process. Raises ConfigError as `train_sweep` does."""
    require_new(job.folder)
    tags = validate([job.config])
    job.folder.mkdir(parents=True, exist_ok=True)
    with locked(job.folder):
        require_new(job.folder)  # another process may have ended meanwhile
        return train([job], write_record([job], tags, job.folder, None), console)


def train_sweep(
    jobs: Sequence[Job], folder: Path, settings: Settings, known: Callable[[], Known], console: Console
) -> Report:
    """Train and record the jobs of a sweep, whose folders are below its own.

    `known` returns the runs that have finished before; these are not trained again. Raises ConfigError before anything
    is recorded if a job cannot be built, or if another command trains in the folder.
    """
    for job in jobs:
        require_new(job.folder)
    with at_work(settings.workers) as workers:
        tags = validate([job.config for job in jobs])
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for job in jobs:
                require_new(job.folder)
            reuse = reusable(jobs, folder, settings, known(), console)
            left = [jobs[index] for index in reuse.left]
            written = write_record(jobs, tags, folder, settings, finished=reuse.finished)
            report = train(left, written, console, workers, settings.sweep.fail_fast)
    results = dict(zip(reuse.left, report.results, strict=True)) | dict(reuse.results)
    return replace(report, results=[results[index] for index in range(len(jobs))], reused=len(reuse.results))


def train(
    jobs: Sequence[Job], written: Record, console: Console, workers: Workers | None = None, fail_fast: bool = False
) -> Report:
    """Train jobs from their last checkpoints, and export them; the jobs are the runs of the record that are left.

    Without workers, or if there are none, they are trained in this process. With `fail_fast` the first failure ends the
    command.
    """
    with training(written, jobs, console, workers, len(written.runs)) as session:
        while session.is_busy:
            over = session.advance()
            if fail_fast and any(read_result(job.folder).failure is not None for job in over):
                break
    return session.report(jobs)


class Session:
    """A command while it trains: its queue, its progress display, and its exporter."""

    def __init__(
        self, written: Record, scheduler: Scheduler, sink: SinkProcess, display: ProgressDisplay, console: Console
    ) -> None:
        self.record = written
        self.scheduler, self.display, self.sink = scheduler, display, sink
        self.following = Following(written)
        self.interrupts = Interrupts()
        self.watch: Callable[[], None] = lambda: None
        """Is called about once per second while runs train."""
        self._jobs: list[Job] = []
        self._store = StoreWatch(sink, console)
        self._due = 0.0
        self.state = sink.state()
        """The exporter's state."""

    @property
    def is_busy(self) -> bool:
        """Whether a run waits or trains."""
        return self.scheduler.is_busy

    def add(self, jobs: Sequence[Job], written: Record) -> None:
        """Queue jobs that are in the record."""
        self.record = written
        self.following.extend(written)
        self._jobs += jobs
        self.scheduler.add(jobs)

    def advance(self) -> list[Job]:
        """Return the jobs that have ended since the last call, after waiting for a moment.

        Raises KeyboardInterrupt after Ctrl-C or SIGTERM.
        """
        over = self.scheduler.advance()
        self.look()
        if self.interrupts.noted:
            raise KeyboardInterrupt
        return over

    def look(self) -> None:
        """Show the progress, at most once per second."""
        self._store.look()
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _BETWEEN_LOOKS
            self.watch()
            if not isinstance(self.scheduler.workers, OwnProcess):  # which shows its own progress
                self.display.standing(self.following.look())

    def report(self, jobs: Sequence[Job]) -> Report:
        """Return the results of jobs, in their order."""
        workers = self.scheduler.workers
        outcomes = workers.outcomes if isinstance(workers, OwnProcess) else {}
        return Report([read_result(job.folder, outcomes.get(job.folder)) for job in jobs], self.record, self.state)

    def close(self) -> None:
        """Stop what still trains, with checkpoints, and let the exporter mark what has not ended as killed."""
        self.scheduler.dismiss()
        self.look()
        if any(read_result(job.folder).end is None for job in self._jobs):
            self.sink.close()


class GrowingSweep:
    """A sweep that gets more jobs while it trains, as a search's does. Enter it before the first jobs are added."""

    def __init__(self, folder: Path, settings: Settings, known: Callable[[], Known], console: Console) -> None:
        """known: as of `train_sweep`."""
        self._folder, self._settings, self._known, self._console = folder, settings, known, console
        self.runs = 1
        """How many runs there will be."""
        self._stack = ExitStack()
        self._session: Session | None = None
        self._results: list[tuple[Job, Result]] = []
        self._jobs: list[Job] = []
        self._reused: dict[Path, Result] = {}
        self.watch: Callable[[], None] = lambda: None
        """Is called about once per second while runs train."""

    def __enter__(self) -> Self:
        """Start the workers, and lock the folder."""
        with ExitStack() as stack:
            self._workers = stack.enter_context(at_work(self._settings.workers))
            self._folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(self._folder))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what trains, wait for the exporter, and end the workers."""
        self._stack.__exit__(kind, value, trace)

    @property
    def needs_more(self) -> bool:
        """Whether fewer runs wait or train than the workers train at once."""
        unfinished = 0 if self._session is None else self._session.scheduler.unfinished
        return unfinished + len(self._results) < max(1, self._workers.count)

    def add(self, jobs: Sequence[Job]) -> None:
        """Validate and queue jobs. Those that have finished before are not trained again. Raises ConfigError."""
        for job in jobs:
            require_new(job.folder)
        tags = validate([job.config for job in jobs])
        reuse = reusable(jobs, self._folder, self._settings, self._known(), self._console)
        written = write_record(jobs, tags, self._folder, self._settings, finished=reuse.finished)
        left = [jobs[index] for index in reuse.left]
        for index, result in reuse.results.items():
            self._results.append((jobs[index], result))
            self._reused[jobs[index].folder] = result
        self._jobs += jobs
        if self._session is None:
            started = training(written, left, self._console, self._workers, self.runs, growing=True)
            self._session = self._stack.enter_context(started)
            self._session.watch = lambda: self.watch()
        else:
            self._session.add(left, written)

    def advance(self) -> list[tuple[Job, Result]]:
        """Return the jobs that have ended since the last call, with their results, after waiting for a moment."""
        assert self._session is not None, "no job was added"
        over, self._results = self._results, []
        if not over:
            over = [(job, read_result(job.folder)) for job in self._session.advance()]
        return over

    def prune(self, jobs: Sequence[Job]) -> None:
        """Stop jobs for good. `advance` returns them once they have stopped."""
        assert self._session is not None, "no job was added"
        waiting = self._session.scheduler.withdraw(jobs)
        for job in waiting:
            Journal(job.folder).end("PRUNED", "pruned by the search", complete=True)
        self._results += [(job, read_result(job.folder)) for job in waiting]
        for job in jobs:
            if job not in waiting:
                commanding.prune(job.folder)

    def report(self) -> Report:
        """Return the results of all jobs, in the order in which they were added. Call it after the end."""
        assert self._session is not None, "no job was added"
        report = self._session.report([job for job in self._jobs if job.folder not in self._reused])
        results = {result.folder: result for result in report.results} | self._reused
        return replace(report, results=[results[job.folder] for job in self._jobs], reused=len(self._reused))


@contextmanager
def training(
    written: Record,
    jobs: Sequence[Job],
    console: Console,
    workers: Workers | None,
    runs: int,
    growing: bool = False,
) -> Iterator[Session]:
    """Yield a session that trains jobs, runs of a record, while MLflow receives what they record.

    The first Ctrl-C or SIGTERM lets the runs in training write a checkpoint; a second one does not wait for that. At
    the end the exporter finishes. runs: how many there will be. growing: whether the record gets more of them later.
    """
    for job in jobs:
        Journal(job.folder)  # marks a resumed run as such before the exporter could take it for ended
    sink = SinkProcess.start(written.folder, written.tracking.uri, growing)
    with ProgressDisplay(console, runs) as display:
        if workers is None or not workers.count:
            workers = OwnProcess(display, lambda: session.look())
        token = uuid.uuid4().hex
        session = Session(written, Scheduler(workers, written.folder, token, sys.path), sink, display, console)
        commanding.take_over(written.folder, token)
        try:
            with session.interrupts:
                try:
                    session.add(jobs, written)
                    yield session
                finally:
                    session.close()
            if growing:
                sink.close()
        except BaseException:
            sink.close()  # what has not ended will not: the exporter marks it as killed
            raise
        finally:
            commanding.dismiss(written.folder)
            session.state = _finish(sink, display)


class StoreWatch:
    """Prints one line if the store cannot be reached for a while."""

    def __init__(self, sink: SinkProcess, console: Console) -> None:
        self._sink = sink
        self._console = console
        self._since: float | None = None
        self._reported = False

    def look(self) -> None:
        """Check the exporter's state; it takes no time."""
        message, now = self._sink.state().message, time.monotonic()
        self._since = None if not message else now if self._since is None else self._since
        if self._since is not None and now - self._since >= _UNREACHABLE and not self._reported:
            self._reported = True
            text = f"MLflow cannot be reached; training continues, and MLflow gets everything later. {message}"
            self._console.print(text, markup=False, soft_wrap=True)


def _finish(sink: SinkProcess, display: ProgressDisplay) -> SinkState:
    """Wait until MLflow has everything. Give up if the exporter makes no progress for a while."""
    _await(sink, display)
    sink.close()  # the exporter tries a last time if something is left
    state = _await(sink, display)
    return sink.wait(_UNREACHABLE) if state.final else state  # its process ends within a moment


def _await(sink: SinkProcess, display: ProgressDisplay) -> SinkState:
    """Wait for as long as the exporter makes progress, and return its state."""
    state, since = sink.wait(0), time.monotonic()
    while not state.final and time.monotonic() - since < (_UNREACHABLE if state.message else _SILENT):
        seen, state = state, sink.wait(0.2)
        if replace(state, message="") != replace(seen, message=""):
            since = time.monotonic()
        display.stage("recording in MLflow", state.ended / max(1, state.runs), f"{state.rows:,} rows")
    return state


def reusable(jobs: Sequence[Job], folder: Path, settings: Settings, known: Known, console: Console) -> Reuse:
    """Return which jobs have finished before, and print how many."""
    if settings.sweep.rerun:
        return Reuse(range(len(jobs)), {}, {})
    if isinstance(known, Unknown):
        text = f"all runs are trained, because finished runs could not be looked up: {known.reason}"
        console.print(text, markup=False, soft_wrap=True)
        known = {}
    code = collected(jobs).code
    own = finished_of(record.read(folder), code) if (folder / RECORD_FILE).exists() else {}
    reuse = told_apart(jobs, code, {**known, **own}, settings.sweep.objective.metric)
    if reuse.finished:
        text = f"{len(reuse.finished):,} of {len(jobs):,} runs have finished before, and are not trained again"
        console.print(f"{text} (sweep.rerun=true)", soft_wrap=True)
    return reuse


@contextmanager
def at_work(option: Option) -> Iterator[Workers]:
    """Yield the workers of an option. Raises ConfigError if there are none to be had."""
    workers: Workers = build("workers", option, Workers)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a record's folder for training. Raises ConfigError if another process trains in it."""
    deadline = time.monotonic() + _LOCK_CHECK
    while time.monotonic() < deadline and blocked(folder / TRAINING_LOCK):
        time.sleep(_LOCK_CHECK / 10)
    try:
        with held(folder / TRAINING_LOCK):
            yield
    except BlockedError as error:
        text = f"{error}, which trains there; wait for it, or choose another folder"
        raise ConfigError([Problem("folder", text)]) from error
