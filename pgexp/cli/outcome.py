"""Trains a command's jobs and tells the user what came of it."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pgexp.execution.command import Report, train
from pgexp.execution.plan import Job
from pgexp.learning.evaluator import Outcome
from pgexp.schema.errors import ConfigError
from pgexp.statistics.digits import written

_FEW = 20  # so many returns are listed one by one


def train_and_tell(jobs: Sequence[Job], folder: Path, sweep: bool) -> list[float | None]:
    """Train the jobs and print what came of it; return their final scores, in order.

    Exits with 1 where a run failed, or an error stopped them all. Raises ConfigError before anything is recorded.
    """
    console = Console(highlight=False)
    try:
        report = train(jobs, folder, sweep, console)
    except ConfigError:
        raise
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    (_tell_sweep if sweep else _tell_run)(report, console)
    _tell_places(report, console)
    failures = [result.failure for result in report.results if result.failure is not None]
    for job, result in zip(jobs, report.results, strict=True):
        if result.failure is not None:
            console.print(f"FAILED  {job.folder}: {result.failure}", markup=False, soft_wrap=True)
    if failures:
        sys.exit(1)
    return [None if result.outcome is None else float(result.outcome.returns.mean()) for result in report.results]


def _tell_run(report: Report, console: Console) -> None:
    outcome = report.results[0].outcome
    if outcome is None:
        return
    if len(outcome.returns) <= _FEW:
        for episode, (score, length) in enumerate(zip(outcome.returns, outcome.lengths, strict=True)):
            console.print(f"episode {episode:>3}  return {written(score):>8}  steps {length:>6,}")
    console.print(f"{report.record.runs[0].name}: {_summary(outcome)}", markup=False, soft_wrap=True)


def _tell_sweep(report: Report, console: Console) -> None:
    done = sum(result.failure is None for result in report.results)
    console.print(f"{done} of {len(report.results)} runs done: {report.record.name}", markup=False, soft_wrap=True)


def _summary(outcome: Outcome) -> str:
    returns = outcome.returns
    span = f"from {written(returns.min())} to {written(returns.max())}"
    return f"final evaluation, {len(returns)} episodes: mean return {written(returns.mean())}, {span}"


def _tell_places(report: Report, console: Console) -> None:
    record = report.record
    console.print(f"folder  {record.folder}", markup=False, soft_wrap=True)
    if report.sink.state == "done":
        console.print(
            f"MLflow  {record.tracking.uri}, experiment {record.tracking.experiment}",
            markup=False,
            soft_wrap=True,
        )
    else:
        console.print(
            f"MLflow  not everything could be recorded: {report.sink.message}. Nothing is lost: the folder has it all.",
            markup=False,
            soft_wrap=True,
        )
