"""Training of a single run or a sweep: validation, manifest, queue of runs, and export to MLflow at the same time."""

import math
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from rich.console import Console

from pgexp.execution.assembly import Run, assemble, instantiate
from pgexp.execution.experiment import Interrupts
from pgexp.execution.jobs import Job
from pgexp.execution.manifest import collect_provenance, write_manifest
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.results import CacheSplit, RunResult, SweepResult, read_result, split_cached
from pgexp.execution.run_writer import RunWriter, mark_resumed
from pgexp.execution.scheduler import Scheduler
from pgexp.execution.validation import build_tags, validate
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import Workers
from pgexp.execution.workers.local import OwnProcess
from pgexp.runs.locking import TRAINING_LOCK, LockedError, find_holder, lock
from pgexp.runs.manifest import SweepManifest, require_new
from pgexp.runs.run_index import RunIndex
from pgexp.runs.run_log import RunState
from pgexp.runs.status import StatusReader
from pgexp.schema.config import Option
from pgexp.schema.errors import UserError
from pgexp.schema.names import FINAL_RETURN
from pgexp.schema.sweep import Settings
from pgexp.tracking.exporter import Exporter, ExporterState
from pgexp.tracking.store import absolute_uri

_LOCK_CHECK_SECONDS = 0.5  # for which a process that only checks the lock may hold it
_DISPLAY_SECONDS = 1.0  # between two displays of the status that is read from the run folders
_EXPORT_TIMEOUT = 45.0  # seconds without progress after which a command no longer waits for its exporter
_UNREACHABLE_SECONDS = 3.0  # after which a store is reported as unreachable, and no longer waited for at the end


def train_run(job: Job, console: Console) -> SweepResult:
    """Train and record one run in this process. Raises UserError as `train_sweep` does."""
    require_new(job.folder)
    torch.set_num_threads(1)
    run = assemble(job.config)
    job.folder.mkdir(parents=True, exist_ok=True)
    with locked(job.folder):
        require_new(job.folder)  # another process may have ended since the first check
        manifest = write_manifest([job], [build_tags(run)], job.folder, None)
        with training(manifest, [job], console, None, 1, run=run) as session:
            while session.is_busy:
                session.advance()
    return session.result([job])


def train_sweep(jobs: Sequence[Job], folder: Path, settings: Settings, console: Console) -> SweepResult:
    """Train and record the jobs of a sweep, whose folders are inside its own.

    Runs that have finished before are not trained again. Raises UserError before anything is recorded if a job cannot
    be built, or if another command trains in the folder.
    """
    for job in jobs:
        require_new(job.folder)
    with workers_of(settings.workers) as workers:
        tags = validate([job.config for job in jobs])
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for job in jobs:
                require_new(job.folder)
            split = find_cached(jobs, settings, console)
            new = [jobs[index] for index in split.new]
            manifest = write_manifest(jobs, tags, folder, settings, cached=split.cached)
            result = train(new, manifest, console, workers, settings.sweep.fail_fast)
    results = dict(zip(split.new, result.results, strict=True)) | dict(split.results)
    return replace(result, results=[results[index] for index in range(len(jobs))], reused=len(split.results))


def train(
    jobs: Sequence[Job],
    manifest: SweepManifest,
    console: Console,
    workers: Workers | None = None,
    fail_fast: bool = False,
) -> SweepResult:
    """Train jobs of a manifest from their last checkpoints, and export them to MLflow.

    Without workers, or if their count is 0, this process trains the runs. With `fail_fast` the first failure ends the
    command.
    """
    by_workers = workers is not None and workers.count
    shown = len(manifest.members) if by_workers else len(jobs)  # the status of workers' runs is that of all members
    with training(manifest, jobs, console, workers, shown) as session:
        while session.is_busy:
            ended = session.advance()
            if fail_fast and any(read_result(job.folder).failure is not None for job in ended):
                break
    return session.result(jobs)


class Session:
    """State of a command that trains: its queue, progress display and exporter."""

    def __init__(
        self,
        manifest: SweepManifest,
        scheduler: Scheduler,
        exporter: Exporter,
        interrupts: Interrupts,
        display: ProgressDisplay,
        console: Console,
        growing: bool,
    ) -> None:
        self.manifest = manifest
        self.scheduler, self.exporter = scheduler, exporter
        self.export = exporter.state()
        self._interrupts, self._display, self._growing = interrupts, display, growing
        self._following = StatusReader(manifest)
        self._store = StoreWatch(exporter, console)
        self._jobs: list[Job] = []
        self._next_display = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a run waits or trains."""
        return self.scheduler.is_busy

    def add(self, jobs: Sequence[Job], manifest: SweepManifest) -> None:
        """Queue jobs, which are in the manifest."""
        self.manifest = manifest
        self._following.extend(manifest)
        self._jobs += jobs
        self.scheduler.add(jobs)

    def advance(self) -> list[Job]:
        """Train for a moment, show the progress, and return the jobs that have ended since the last call.

        Raises KeyboardInterrupt after Ctrl-C or SIGTERM if there is more to train.
        """
        ended = self.scheduler.advance()
        for job in ended:
            self._add_to_index(job)
        self.show()
        if self._interrupts.noted() and (self.is_busy or self._growing):
            raise KeyboardInterrupt
        return ended

    def _add_to_index(self, job: Job) -> None:
        result = read_result(job.folder)
        if result.is_finished:
            run = next(run for run in self.manifest.runs if self.manifest.folder_of(run) == job.folder)
            score = result.metrics.get(FINAL_RETURN, math.nan)
            with suppress(OSError):  # the run is trained again if it cannot be found
                RunIndex(Path.cwd()).add(self.manifest, run, score if math.isfinite(score) else None)

    def show(self) -> None:
        """Show the progress, and report a store that cannot be reached."""
        self._store.check()
        workers = self.scheduler.workers
        if isinstance(workers, OwnProcess):
            if (update := workers.update) is not None:
                done = workers.done + update.progress
                self._display.show_training(done, update.steps_per_second, update.return_mean)
        elif time.monotonic() >= self._next_display:
            self._next_display = time.monotonic() + _DISPLAY_SECONDS
            self._display.show_status(self._following.read())

    def result(self, jobs: Sequence[Job]) -> SweepResult:
        """Return the results of jobs, in their order."""
        workers = self.scheduler.workers
        evaluations = workers.final_evaluations if isinstance(workers, OwnProcess) else {}
        results = [read_result(job.folder, evaluations.get(job.folder)) for job in jobs]
        return SweepResult(results, self.manifest, self.export)

    def close(self) -> None:
        """Stop runs in training with checkpoints. The exporter marks those without an end as killed."""
        self.scheduler.stop()
        self.show()
        if any(read_result(job.folder).end is None for job in self._jobs):
            self.exporter.close()


@contextmanager
def training(
    manifest: SweepManifest,
    jobs: Sequence[Job],
    console: Console,
    workers: Workers | None,
    runs: int,
    growing: bool = False,
    run: Run | None = None,
) -> Iterator[Session]:
    """Yield a session that trains jobs of a manifest while their records are exported to MLflow.

    The first Ctrl-C or SIGTERM lets the runs in training write a checkpoint; a second one does not wait for that. At
    the end, wait for the exporter.

    Args:
        manifest: the manifest of the jobs.
        jobs: the jobs to train.
        console: for messages and progress.
        workers: with None or a count of 0, this process trains the runs.
        runs: the number of runs that the progress display counts.
        growing: whether jobs are added later.
        run: the first job's run, if it is built already.
    """
    for job in jobs:
        mark_resumed(job.folder)  # before the exporter could take it for ended
    exporter = Exporter.start(manifest.folder, manifest.tracking.uri, growing)
    interrupts, token = Interrupts(), uuid.uuid4().hex
    with ProgressDisplay(console, runs) as display:
        if workers is None or not workers.count:
            workers = OwnProcess(interrupts, run)
        scheduler = Scheduler(workers, manifest.folder, token, sys.path)
        session = Session(manifest, scheduler, exporter, interrupts, display, console, growing)
        lease.acquire(manifest.folder, token)
        try:
            with interrupts:
                try:
                    session.add(jobs, manifest)
                    yield session
                finally:
                    session.close()
            if growing:
                exporter.close()
        except BaseException:
            exporter.close()  # the exporter marks runs without an end as killed
            raise
        finally:
            lease.release(manifest.folder)
            session.export = _wait_for_export(exporter, display)


class StoreWatch:
    """Report of a store that cannot be reached for a while: one line, once."""

    def __init__(self, exporter: Exporter, console: Console) -> None:
        self._exporter = exporter
        self._console = console
        self._since: float | None = None
        self._reported = False

    def check(self) -> None:
        """Check the exporter's state, which takes no time."""
        message, now = self._exporter.state().message, time.monotonic()
        self._since = None if not message else now if self._since is None else self._since
        if self._since is not None and now - self._since >= _UNREACHABLE_SECONDS and not self._reported:
            self._reported = True
            text = f"MLflow cannot be reached. Training continues, and the export is retried. {message}"
            self._console.print(text, markup=False, soft_wrap=True)


def _wait_for_export(exporter: Exporter, display: ProgressDisplay) -> ExporterState:
    """Wait until everything is exported, or until the exporter makes no progress for a while; return its state."""
    _wait_for_progress(exporter, display)
    exporter.close()  # the exporter tries a last time if something is left
    state = _wait_for_progress(exporter, display)
    return exporter.wait(_UNREACHABLE_SECONDS) if state.final else state  # its process ends within a moment


def _wait_for_progress(exporter: Exporter, display: ProgressDisplay) -> ExporterState:
    state, since = exporter.wait(0), time.monotonic()
    while not state.final:
        if time.monotonic() - since >= (_UNREACHABLE_SECONDS if state.message else _EXPORT_TIMEOUT):
            break
        before, state = state, exporter.wait(0.2)
        if replace(state, message="") != replace(before, message=""):
            since = time.monotonic()
        display.show_stage("recording in MLflow", state.ended / max(1, state.runs), f"{state.rows:,} rows")
    return state


class GrowingSweep:
    """A sweep to which jobs are added while it trains, such as that of a search. Enter it before adding jobs."""

    def __init__(self, folder: Path, settings: Settings, console: Console) -> None:
        self._folder, self._settings, self._console = folder, settings, console
        self.runs = 1
        """The number of runs in total."""
        self._stack = ExitStack()
        self._session: Session | None = None
        self._ended: list[tuple[Job, RunResult]] = []
        self._jobs: list[Job] = []
        self._reused: dict[Path, RunResult] = {}

    def __enter__(self) -> Self:
        """Start the workers and lock the folder."""
        with ExitStack() as stack:
            self._workers = stack.enter_context(workers_of(self._settings.workers))
            self._folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(self._folder))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the runs in training, wait for the exporter, and end the workers."""
        self._stack.__exit__(kind, value, trace)

    @property
    def needs_more(self) -> bool:
        """Whether fewer runs wait or train than the workers train at once."""
        unfinished = 0 if self._session is None else self._session.scheduler.unfinished
        return unfinished + len(self._ended) < max(1, self._workers.count)

    def add(self, jobs: Sequence[Job]) -> None:
        """Validate and queue jobs. Those that have finished before are not trained again. Raises UserError."""
        for job in jobs:
            require_new(job.folder)
        tags = validate([job.config for job in jobs])
        split = find_cached(jobs, self._settings, self._console)
        manifest = write_manifest(jobs, tags, self._folder, self._settings, cached=split.cached)
        new = [jobs[index] for index in split.new]
        for index, result in split.results.items():
            self._ended.append((jobs[index], result))
            self._reused[jobs[index].folder] = result
        self._jobs += jobs
        if self._session is None:
            session = training(manifest, new, self._console, self._workers, self.runs, growing=True)
            self._session = self._stack.enter_context(session)
        else:
            self._session.add(new, manifest)

    def advance(self) -> list[tuple[Job, RunResult]]:
        """Train for a moment; return the jobs that have ended since the last call, with their results."""
        assert self._session is not None, "no job was added"
        ended, self._ended = self._ended, []
        return ended or [(job, read_result(job.folder)) for job in self._session.advance()]

    def prune(self, jobs: Sequence[Job]) -> None:
        """Stop jobs for good. `advance` returns them when they have stopped."""
        assert self._session is not None, "no job was added"
        waiting = self._session.scheduler.remove(jobs)
        for job in waiting:
            RunWriter(job.folder).end(RunState.PRUNED, "pruned by the search", complete=True)
        self._ended += [(job, read_result(job.folder)) for job in waiting]
        for job in jobs:
            if job not in waiting:
                lease.prune(job.folder)

    def result(self) -> SweepResult:
        """Return the results of all jobs, in the order in which they were added. Call it after the end."""
        assert self._session is not None, "no job was added"
        result = self._session.result([job for job in self._jobs if job.folder not in self._reused])
        results = {run.folder: run for run in result.results} | self._reused
        return replace(result, results=[results[job.folder] for job in self._jobs], reused=len(self._reused))


def find_cached(jobs: Sequence[Job], settings: Settings, console: Console) -> CacheSplit:
    """Return which jobs have finished before, and print how many."""
    if settings.sweep.rerun or not jobs:
        return CacheSplit(range(len(jobs)), {}, {})
    tracking = jobs[0].config.tracking
    finished = RunIndex(Path.cwd()).find(absolute_uri(tracking.uri), tracking.experiment)
    split = split_cached(jobs, collect_provenance(jobs).code, finished, settings.sweep.objective.metric)
    if split.cached:
        text = f"{len(split.cached):,} of {len(jobs):,} runs have finished before and are not trained again"
        console.print(f"{text} (sweep.rerun=true trains them)", soft_wrap=True)
    return split


@contextmanager
def workers_of(option: Option) -> Iterator[Workers]:
    """Yield the workers of an option, and end them. Raises UserError if they are not available."""
    workers: Workers = instantiate("workers", option, Workers)
    with closing(workers):
        yield workers


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for training. Raises UserError if another process trains in it."""
    deadline = time.monotonic() + _LOCK_CHECK_SECONDS
    while time.monotonic() < deadline and find_holder(folder / TRAINING_LOCK):
        time.sleep(_LOCK_CHECK_SECONDS / 10)
    try:
        with lock(folder / TRAINING_LOCK):
            yield
    except LockedError as error:
        text = f"{error}, which trains there. Wait for it, or choose another folder"
        raise UserError.at("folder", text) from error
