"""Trains a command's jobs and tells the user what came of it."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console

import pgexp
from pgexp.cli.keep import recorded
from pgexp.cli.streams import Terminal
from pgexp.cli.telling import tell, told
from pgexp.execution.command import Report, train
from pgexp.execution.journal import NotRepeatedError
from pgexp.execution.plan import Job
from pgexp.learning.evaluator import Outcome
from pgexp.schema.errors import ConfigError
from pgexp.schema.names import RECORD_FILE
from pgexp.statistics.digits import written
from pgexp.storage.secrets import mask_uri

_PACKAGE = Path(pgexp.__file__).parent
_STANDARD = Path(os.__file__).parent
_FEW = 20  # so many returns are listed one by one


def train_and_tell(jobs: Sequence[Job], folder: Path, sweep: bool) -> list[float | None]:
    """Train the jobs and print what came of it; return their final scores, in order.

    Exits with 1 where a run failed, or an error stopped them all. Raises ConfigError before anything is recorded.
    """
    report = carried_out(lambda console: train(jobs, folder, sweep, console), folder)
    return [None if result.outcome is None else float(result.outcome.returns.mean()) for result in report.results]


def carried_out(work: Callable[[Console], Report], folder: Path) -> Report:
    """Print what came of training, and return it; exit with 1 as `train_and_tell` does."""
    console = Terminal(highlight=False)
    try:
        report = work(console)
    except ConfigError:
        raise
    except NotRepeatedError as error:
        tell(str(error))
        sys.exit(1)
    except Exception as error:
        kept = "what was recorded until then is readable" if (folder / RECORD_FILE).exists() else "nothing was recorded"
        tell(f"stopped by {_reason(error)}; {kept}")
        sys.exit(1)
    finally:
        if (folder / RECORD_FILE).exists():
            recorded()
    (_tell_run if report.record.sweep is None else _tell_sweep)(report, console)
    _tell_places(report, console)
    failures = [(folder, result.failure) for folder, result in report.told if result.failure is not None]
    for folder, failure in failures:
        console.print(f"FAILED  {folder}: {failure}", markup=False, soft_wrap=True)
    if failures:
        sys.exit(1)
    return report


def _reason(error: Exception) -> str:
    """Return what an exception says; print first where it came from, unless the system refused one of pgexp's files."""
    trace = error.__traceback__
    while trace is not None and _is_library(trace):
        trace = trace.tb_next
    if trace is None and isinstance(error, OSError):
        return told(error)
    traceback.print_exception(type(error), error, trace or error.__traceback__)
    return f"{type(error).__name__}: {error}"


def _is_library(trace: TracebackType) -> bool:
    """Return whether a call is pgexp's own, or of an installed package: a user's code is neither."""
    file = Path(trace.tb_frame.f_code.co_filename)
    return file.is_relative_to(_PACKAGE) or "site-packages" in file.parts or file.is_relative_to(_STANDARD)


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
    folder, tracking, sink = report.record.folder, report.record.tracking, report.sink
    uri = mask_uri(tracking.uri)
    console.print(f"folder  {folder}", markup=False, soft_wrap=True)
    if sink.state == "done":
        told = f"MLflow  {uri}, experiment {tracking.experiment}"
    else:
        why = sink.message or "it does not answer"
        told = f"MLflow  {uri}: not everything could be recorded: {why}. Nothing is lost: the folder has it all.\n"
        told += f"        When it is back: pgexp-sync {shlex.quote(str(folder))}"
    console.print(told, markup=False, soft_wrap=True)
