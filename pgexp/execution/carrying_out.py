"""Carries a command out: its packs are trained, by workers or in its own process, while MLflow is written beside it."""

import sys
import uuid
from collections.abc import Sequence

import torch
from rich.console import Console

from pgexp.execution import commanding
from pgexp.execution.conducting import conduct
from pgexp.execution.journal import Journal
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.report import Report, read_result
from pgexp.execution.tracking import StoreWatch, finish, watched
from pgexp.execution.work import train_runs
from pgexp.execution.workers.workers import Workers
from pgexp.learning.evaluator import Outcome
from pgexp.storage.following import Following
from pgexp.storage.record import Record
from pgexp.storage.sink import SinkProcess

Packs = Sequence[Sequence[int]]
"""Packs, as the indices of their jobs."""


def carry_out(
    jobs: Sequence[Job],
    packs: Packs,
    written: Record,
    console: Console,
    workers: Workers | None = None,
    fail_fast: bool = False,
) -> Report:
    """Train packs, from where they stand, and have them recorded; the jobs are those of the record that are left.

    Without workers, or with none of them, this process trains the packs itself, one after the other. A pack that can't
    be trained holds up no other, unless the first failure is to end it all.
    """
    for job in jobs:
        Journal(job.folder)  # a run that goes on says so before the sink starts, which would take it for ended
    sink = SinkProcess.start(written.folder, written.tracking.uri)
    outcomes: dict[int, Outcome] = {}
    with ProgressDisplay(console, len(written.runs)) as display:
        try:
            if workers is None or not workers.count:
                outcomes = _train_here(jobs, packs, sink, display, console, fail_fast)
            else:
                _conduct(jobs, packs, written, workers, sink, display, console, fail_fast)
            results = [read_result(job.folder, outcomes.get(index)) for index, job in enumerate(jobs)]
            if any(result.end is None for result in results):
                sink.close()  # as below
        except BaseException:
            sink.close()  # what has not ended will not: the sink marks it KILLED
            raise
        finally:
            state = finish(sink, display)
    return Report(results, written, state)


def _train_here(
    jobs: Sequence[Job],
    packs: Packs,
    sink: SinkProcess,
    display: ProgressDisplay,
    console: Console,
    fail_fast: bool,
) -> dict[int, Outcome]:
    torch.set_num_threads(1)
    outcomes: dict[int, Outcome] = {}
    for number, indices in enumerate(packs):
        show = watched(display.part(number, len(packs)), sink, console)
        found = train_runs([jobs[index] for index in indices], show, fail_fast=fail_fast)
        outcomes |= {indices[place]: outcome for place, outcome in found.items()}
        if fail_fast and any(read_result(jobs[index].folder).failure is not None for index in indices):
            break
    return outcomes


def _conduct(
    jobs: Sequence[Job],
    packs: Packs,
    written: Record,
    workers: Workers,
    sink: SinkProcess,
    display: ProgressDisplay,
    console: Console,
    fail_fast: bool,
) -> None:
    token = uuid.uuid4().hex
    commanding.take_over(written.folder, token)
    orders = [
        Order(token, number, written.folder, tuple(jobs[index] for index in pack), tuple(sys.path))
        for number, pack in enumerate(packs)
    ]
    following, store = Following(written), StoreWatch(sink, console)
    ours = {job.folder for job in jobs}
    places = [place for place, run in enumerate(written.runs) if written.folder_of(run) in ours]

    def look() -> bool:
        standing = following.look()
        display.standing(standing)
        store.look()
        return fail_fast and any(standing.runs[place].state == "failed" for place in places)

    conduct(orders, workers, look)
    commanding.dismiss(written.folder)
