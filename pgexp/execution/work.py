"""Training of runs in a worker or in the command's own process."""

import time
from collections.abc import Callable

import torch

from pgexp.execution.assembly import Run, assemble
from pgexp.execution.checkpoints import read_state
from pgexp.execution.commanding import is_in_command, is_pruned
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

_SECONDS_BETWEEN_CHECKS = 0.2  # of whether the run is to stop


def work(order: Order, alone: Callable[[], bool]) -> bool:
    """Train the runs of an order to their ends; return whether all of them ended.

    They do not if the command dismissed its workers, or if `alone` returns True: the command is gone. Raises what is
    not a run's own failure, as of a full disk.
    """
    torch.set_num_threads(1)
    with held(order.folder / WORKERS_LOCK, wait=True, shared=True):  # a process that checks it holds it for a moment
        if alone() or not is_in_command(order.folder, order.token):
            return False  # another command has taken over while the order waited
        dismissed = _seldom(lambda: alone() or not is_in_command(order.folder, order.token))
        try:
            for job in order.jobs:
                train_run(job, lambda share, rate, return_mean: None, dismissed)
        except KeyboardInterrupt:
            return False
    return True


def train_run(job: Job, show: Show, dismissed: Callable[[], bool] = lambda: False) -> Outcome | None:
    """Train a run from its last checkpoint; return its final evaluation, if it finished.

    A failure of the run is written to its folder. Raises KeyboardInterrupt if the training was interrupted or
    dismissed, and OSError if the folder cannot be written to.
    """
    journal = Journal(job.folder)
    run = _prepared(job)
    if isinstance(run, Failure):
        journal.error(run.traceback)
        journal.end("FAILED", run.reason)
        return None
    experiment = Experiment(run, journal)
    experiment.run(show, dismissed, _seldom(lambda: is_pruned(job.folder)))
    return experiment.outcome


def _prepared(job: Job) -> Run | Failure:
    """Return a job's run at its last checkpoint, or why it cannot be prepared. Raises OSError of reading it."""
    try:
        state = read_state(job.folder, run_key(job.config))
    except ConfigError as error:
        return Failure.of(error)
    try:
        run = assemble(job.config)
    except Exception as error:  # of a user's class, which may raise anything
        return Failure.of(error)
    try:
        restore_run(run, state)
    except Exception as error:  # an environment may raise OSError, too, as it repeats its open episode
        run.close()
        return Failure.of(error)
    return run


def restore_run(run: Run, state: State | None) -> None:
    """Set a newly assembled run to a state, if there is one. Raises ConfigError."""
    if state is not None:
        try:
            restore(state, run.learner, run.collector)
        except StateError as error:
            raise ConfigError([Problem("checkpoint", str(error))]) from error


def _seldom(check: Callable[[], bool]) -> Callable[[], bool]:
    """Return a function that is True once `check` was; it checks now and then, since a file may be on a slow disk."""
    checked = 0.0
    found = False

    def seldom() -> bool:
        nonlocal checked, found
        now = time.monotonic()
        if now - checked >= _SECONDS_BETWEEN_CHECKS:
            checked, found = now, found or check()
        return found

    return seldom
