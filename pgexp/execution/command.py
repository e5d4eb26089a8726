"""One command from its jobs to its records: assemble, train pack after pack, while MLflow is written beside it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from pgexp.execution.assembly import Pack, assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.execution.plan import Job, packs
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.recording import make_record, user_modules
from pgexp.learning.evaluator import Outcome
from pgexp.storage import provenance, record
from pgexp.storage.record import Record, require_new
from pgexp.storage.sink import SinkProcess, SinkState

_PATIENCE = 45.0  # seconds that a command waits, at its end, for a store that does not get on


@dataclass(frozen=True)
class Result:
    """What became of a job: its final evaluation, or None and why not."""

    outcome: Outcome | None
    failure: str | None


@dataclass(frozen=True)
class Report:
    """What became of a command: each job's result, in order, what was recorded, and how MLflow stands."""

    results: Sequence[Result]
    record: Record
    sink: SinkState


def train(jobs: Sequence[Job], folder: Path, sweep: bool, console: Console) -> Report:
    """Train the jobs and record them.

    `folder` is the sweep's, with the jobs' own folders below it, or the single job's own. Raises ConfigError before
    anything is recorded where a job can't be built.
    """
    torch.set_num_threads(1)
    for job in jobs:
        require_new(job.folder)
    assembled = [(assemble([jobs[index].config for index in pack]), pack) for pack in packs(jobs)]
    written = _write_record(jobs, assembled, folder, sweep)
    sink = SinkProcess.start(folder)
    results: dict[int, Result] = {}
    with ProgressDisplay(console, len(jobs)) as display:
        try:
            for number, (pack, indices) in enumerate(assembled):
                experiment = Experiment(pack, [Journal(jobs[index].folder) for index in indices])
                experiment.run(display.part(number, len(assembled)))
                for run, index in enumerate(indices):
                    results[index] = Result(experiment.outcomes.get(run), experiment.failures.get(run))
        except BaseException:
            sink.close()  # what has not ended will not: the sink marks it KILLED
            raise
        finally:
            state = _finish(sink, display)
    return Report([results[index] for index in range(len(jobs))], written, state)


def _write_record(
    jobs: Sequence[Job], assembled: Sequence[tuple[Pack, Sequence[int]]], folder: Path, sweep: bool
) -> Record:
    origin = provenance.collect(Path.cwd(), user_modules([job.config for job in jobs]))
    made = make_record(jobs, assembled, folder, sweep, origin)
    for job in jobs:
        provenance.write(origin, job.folder)
    record.write(made)
    return made


def _finish(sink: SinkProcess, display: ProgressDisplay) -> SinkState:
    """Wait until MLflow has everything; give up on a store that has not got on for a while."""
    seen, since = sink.wait(0), time.monotonic()
    while not (state := sink.wait(0.2)).final and time.monotonic() - since < _PATIENCE:
        if state != seen and not state.message:
            seen, since = state, time.monotonic()
        display.stage("recording in MLflow", state.ended / max(1, state.runs), f"{state.rows:,} rows")
    sink.close()
    return sink.wait(_PATIENCE)
