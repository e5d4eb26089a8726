"""One command from its jobs to its records: assemble, train pack after pack, while MLflow is written beside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from pgexp.execution.assembly import Pack, assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.execution.plan import Job, packs
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.recording import make_record, policy_modules, user_modules
from pgexp.execution.tracking import finish, watched
from pgexp.learning.evaluator import Outcome
from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage import code, provenance, record
from pgexp.storage.locking import BlockedError, held
from pgexp.storage.record import Record, require_new
from pgexp.storage.run_config import write_config
from pgexp.storage.sink import SinkProcess, SinkState
from pgexp.storage.syncing import TRAINING_LOCK

Assembled = Sequence[tuple[Pack, Sequence[int]]]
"""Packs, each with the indices of its jobs."""


@dataclass(frozen=True)
class Result:
    """What became of a job: its final evaluation, or None and why not."""

    outcome: Outcome | None
    failure: str | None


@dataclass(frozen=True)
class Report:
    """What became of a command: each job's result, in order, what was recorded, and how MLflow stands."""

    results: Sequence[Result]
    folders: Sequence[Path]  # the jobs' own
    record: Record
    sink: SinkState

    @property
    def told(self) -> Sequence[tuple[Path, Result]]:
        """Each job's folder, and what became of it."""
        return list(zip(self.folders, self.results, strict=True))


def train(jobs: Sequence[Job], folder: Path, sweep: bool, console: Console) -> Report:
    """Train the jobs and record them.

    `folder` is the sweep's, with the jobs' own folders below it, or the single job's own. Raises ConfigError before
    anything is recorded where a job can't be built, or another process trains in the folder.
    """
    torch.set_num_threads(1)
    for job in jobs:
        require_new(job.folder)
    assembled = [(assemble([jobs[index].config for index in pack]), pack) for pack in packs(jobs)]
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        for job in jobs:
            require_new(job.folder)  # another process may have ended meanwhile
        return carry_out(jobs, assembled, write_record(jobs, assembled, folder, sweep), console)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a record's folder for training. Raises ConfigError where another process trains in it."""
    try:
        with held(folder / TRAINING_LOCK):
            yield
    except BlockedError as error:
        text = f"{error}, which trains there; wait for it, or choose another folder"
        raise ConfigError([Problem("folder", text)]) from error


def write_record(
    jobs: Sequence[Job],
    assembled: Assembled,
    folder: Path,
    sweep: bool,
    marked: Callable[[Record], Record] = lambda made: made,
) -> Record:
    """Write down what will be trained, and what it runs on; `marked` may say more of the runs."""
    origin = provenance.collect(Path.cwd(), user_modules([job.config for job in jobs]))
    made = marked(make_record(jobs, assembled, folder, sweep, origin))
    for job, run in zip(jobs, made.runs, strict=True):
        provenance.write(origin, job.folder, run, made.sweep)
        write_config(job.config, job.folder)
        code.write(code.collect(policy_modules(job.config)), job.folder)
    record.write(made)
    return made


def carry_out(jobs: Sequence[Job], assembled: Assembled, written: Record, console: Console) -> Report:
    """Train packs, from where they stand, and have them recorded; the jobs are those of the record that are left."""
    journals = [Journal(job.folder) for job in jobs]  # before the sink starts: a run that goes on says so first
    sink = SinkProcess.start(written.folder, written.tracking.uri)
    results: dict[int, Result] = {}
    with ProgressDisplay(console, len(jobs)) as display:
        try:
            for number, (pack, indices) in enumerate(assembled):
                experiment = Experiment(pack, [journals[index] for index in indices])
                experiment.run(watched(display.part(number, len(assembled)), sink, console))
                for run, index in enumerate(indices):
                    results[index] = Result(experiment.outcomes.get(run), experiment.failures.get(run))
        except BaseException:
            sink.close()  # what has not ended will not: the sink marks it KILLED
            raise
        finally:
            state = finish(sink, display)
    return Report([results[index] for index in range(len(jobs))], [job.folder for job in jobs], written, state)
