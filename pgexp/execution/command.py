"""One command, from its jobs to what became of them: what can't be built is refused before anything is recorded."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from pgexp.execution.building import build
from pgexp.execution.carrying_out import carry_out
from pgexp.execution.packing import packed
from pgexp.execution.plan import Job
from pgexp.execution.recording import collected, write_record
from pgexp.execution.report import Report
from pgexp.execution.reusing import Reuse, finished_of, told_apart
from pgexp.execution.trying import try_out
from pgexp.execution.workers.workers import Workers
from pgexp.schema.config import Option
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import RECORD_FILE
from pgexp.schema.sweep import Settings
from pgexp.storage import record
from pgexp.storage.finished import FinishedRun, Key, Unknown
from pgexp.storage.locking import BlockedError, blocked, held
from pgexp.storage.record import require_new
from pgexp.storage.syncing import TRAINING_LOCK

_MOMENT = 0.5  # seconds

Known = Mapping[Key, FinishedRun] | Unknown
"""The runs that have finished before."""


def train_run(job: Job, console: Console) -> Report:
    """Train one run, in this process, and record it. Raises ConfigError as `train_sweep` does."""
    require_new(job.folder)
    trials = try_out([job.config])
    job.folder.mkdir(parents=True, exist_ok=True)
    with locked(job.folder):
        require_new(job.folder)  # another process may have ended meanwhile
        return carry_out([job], [[0]], write_record([job], trials, job.folder, None), console)


def train_sweep(
    jobs: Sequence[Job], folder: Path, settings: Settings, known: Callable[[], Known], console: Console
) -> Report:
    """Train the jobs of a sweep, whose folders are below its own, and record them.

    `known` says which runs have finished before; these are not trained again. Raises ConfigError before anything is
    recorded where a job can't be built, or another command trains in the folder.
    """
    for job in jobs:
        require_new(job.folder)
    with at_work(settings.workers) as workers:
        trials = try_out([job.config for job in jobs])
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for job in jobs:
                require_new(job.folder)
            reuse = reusable(jobs, folder, settings, known(), console)
            left = [jobs[index] for index in reuse.left]
            footprints = [trials[index].footprint for index in reuse.left]
            packs = [pack.indices for pack in packed(left, footprints, workers.count, settings.sweep)]
            written = write_record(jobs, trials, folder, settings, finished=reuse.finished)
            report = carry_out(left, packs, written, console, workers, settings.sweep.fail_fast)
    results = dict(zip(reuse.left, report.results, strict=True)) | dict(reuse.results)
    return replace(report, results=[results[index] for index in range(len(jobs))], reused=len(reuse.results))


def reusable(jobs: Sequence[Job], folder: Path, settings: Settings, known: Known, console: Console) -> Reuse:
    """Return which jobs have finished before, and say how many."""
    if settings.sweep.rerun:
        return Reuse(range(len(jobs)), {}, {})
    if isinstance(known, Unknown):
        text = f"which runs have finished before is not known, so all are trained: {known.reason}"
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
    """Yield the workers of an option. Raises ConfigError where they can't be had."""
    workers: Workers = build("workers", option, Workers)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a record's folder for training. Raises ConfigError where another process trains in it."""
    deadline = time.monotonic() + _MOMENT  # for which who looks whether it is held may hold it
    while time.monotonic() < deadline and blocked(folder / TRAINING_LOCK):
        time.sleep(_MOMENT / 10)
    try:
        with held(folder / TRAINING_LOCK):
            yield
    except BlockedError as error:
        text = f"{error}, which trains there; wait for it, or choose another folder"
        raise ConfigError([Problem("folder", text)]) from error
