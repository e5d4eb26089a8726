"""Training of a list of runs, in a worker or in the command's own process."""

import time
from collections.abc import Callable, Sequence

import torch

from pgexp.execution.assembly import Run, assemble
from pgexp.execution.checkpoints import read_state
from pgexp.execution.commanding import is_in_command
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.report import read_result
from pgexp.learning.evaluator import Outcome
from pgexp.learning.failure import Failure
from pgexp.learning.state import State, StateError, restore
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import run_key
from pgexp.storage.locking import held
from pgexp.storage.syncing import WORKERS_LOCK

_SECONDS_BETWEEN_LOOKS = 0.2  # at whether the command still wants the work

ShowRuns = Callable[[float, float, Sequence[float]], None]
"""Displays progress: the share of all budgets spent, training steps per second, the runs' latest mean returns."""


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
            train_runs(order.jobs, lambda share, rate, returns: None, _dismissed(order, alone))
        except KeyboardInterrupt:
            return False
    return True


def train_runs(
    jobs: Sequence[Job], show: ShowRuns, dismissed: Callable[[], bool] = lambda: False, fail_fast: bool = False
) -> dict[int, Outcome]:
    """Train jobs one after the other, from their last checkpoints; return their final evaluations, by job.

    A run's failure is written to its record. Raises KeyboardInterrupt if the training was interrupted or dismissed, and
    OSError if a record cannot be written.
    """
    outcomes: dict[int, Outcome] = {}
    returns: dict[int, float] = {}
    for index, job in enumerate(jobs):
        journal = Journal(job.folder)
        run = _prepared(job)
        if isinstance(run, Failure):
            journal.error(run.traceback)
            journal.end("FAILED", run.reason)
        else:

            def show_run(share: float, rate: float, mean_return: float | None, index: int = index) -> None:
                if mean_return is not None:
                    returns[index] = mean_return
                show((index + share) / len(jobs), rate, [*returns.values()])

            experiment = Experiment(run, journal)
            experiment.run(show_run, dismissed)
            if experiment.outcome is not None:
                outcomes[index] = experiment.outcome
        if fail_fast and index not in outcomes and read_result(job.folder).failure is not None:
            break
    return outcomes


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
