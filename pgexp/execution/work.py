"""Trains a pack: what a worker does, and what a command does that has no workers."""

import time
from collections.abc import Callable, Sequence

import torch

from pgexp.execution.assembly import Pack, assemble
from pgexp.execution.checkpoints import read_state
from pgexp.execution.commanding import is_in_command
from pgexp.execution.experiment import Experiment, Show
from pgexp.execution.journal import Journal
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.learning.evaluator import Outcome
from pgexp.learning.failure import Failure
from pgexp.learning.state import State, StateError, restore
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import run_key
from pgexp.storage.locking import held
from pgexp.storage.syncing import WORKERS_LOCK

_SECONDS_BETWEEN_LOOKS = 0.2  # at whether the command wants the work to go on


def work(order: Order, alone: Callable[[], bool]) -> bool:
    """Train an order's runs, from where their folders stand, to their ends; return whether they came there.

    They did not where the command wants them no more, or `alone` says that it is gone. Raises what is no run's own
    failure: a full disk.
    """
    torch.set_num_threads(1)
    with held(order.folder / WORKERS_LOCK, wait=True, shared=True):  # who looks holds it for a moment
        if alone() or not is_in_command(order.folder, order.token):
            return False  # it waited for its turn, and another command has taken over meanwhile
        try:
            train_pack(order.jobs, lambda share, rate, returns: None, _dismissed(order, alone))
        except KeyboardInterrupt:
            return False
    return True


def train_pack(jobs: Sequence[Job], show: Show, dismissed: Callable[[], bool] = lambda: False) -> dict[int, Outcome]:
    """Train jobs of one structure, from where their folders stand; return their final evaluations, by job.

    A failure, a run's own or the pack's, stands in the runs' records. Raises KeyboardInterrupt where the training was
    interrupted or dismissed, and OSError where a record can't be written.
    """
    journals = [Journal(job.folder) for job in jobs]
    pack, failed = _standing(jobs)
    for run, failure in failed.items():
        journals[run].error(failure.traceback)
        journals[run].end("FAILED", failure.reason)
    if pack is None or failed:
        if pack is not None:
            pack.close()
        left = [run for run in range(len(jobs)) if run not in failed]
        found = train_pack([jobs[run] for run in left], show, dismissed) if left else {}
        return {left[run]: outcome for run, outcome in found.items()}
    experiment = Experiment(pack, journals)
    try:
        experiment.run(show, dismissed)
    except OSError:
        raise
    except Exception:  # it stands in the records of the runs that it ended
        pass
    return experiment.outcomes


def _standing(jobs: Sequence[Job]) -> tuple[Pack | None, dict[int, Failure]]:
    """Return the pack of some jobs, each where its folder stands, and which of them can't be, and why."""
    try:
        pack = assemble([job.config for job in jobs])
    except OSError:
        raise
    except Exception as error:
        return None, dict.fromkeys(range(len(jobs)), Failure.of(error))
    failed: dict[int, Failure] = {}
    for run, job in enumerate(jobs):
        try:
            stand(pack, run, read_state(job.folder, run_key(job.config)))
        except ConfigError as error:
            failed[run] = Failure.of(error)
    return pack, failed


def stand(pack: Pack, run: int, state: State | None) -> None:
    """Let a run of a pack stand at a state, or at its start. Raises ConfigError."""
    if state is not None:
        try:
            restore(state, pack.learners[run], pack.collector, run)
        except StateError as error:
            raise ConfigError([Problem("checkpoint", str(error))]) from error


def _dismissed(order: Order, alone: Callable[[], bool]) -> Callable[[], bool]:
    """Return what tells whether an order is to be left: looked up now and then, since the file may be far away."""
    looked = 0.0
    left = False

    def dismissed() -> bool:
        nonlocal looked, left
        now = time.monotonic()
        if now - looked >= _SECONDS_BETWEEN_LOOKS:
            looked, left = now, left or alone() or not is_in_command(order.folder, order.token)
        return left

    return dismissed
