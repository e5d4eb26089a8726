"""Tells the user what came of a command that trains."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console

import pgexp
from pgexp.cli.keep import recorded
from pgexp.cli.streams import Terminal
from pgexp.cli.telling import FAILED, fail_at_last, tell, told
from pgexp.execution.report import Report
from pgexp.execution.workers.workers import WorkersError
from pgexp.learning.evaluator import Outcome
from pgexp.schema.errors import ConfigError
from pgexp.schema.names import ERROR_FILE, RECORD_FILE
from pgexp.statistics.digits import written
from pgexp.storage.following import Following
from pgexp.storage.secrets import mask_uri

_PACKAGE = Path(pgexp.__file__).parent
_STANDARD = Path(os.__file__).parent
_FEW = 20  # so many returns, and failures, are listed one by one


def carried_out(work: Callable[[Console], Report], folder: Path) -> Report:
    """Print what came of training, and return it.

    Exits with 1 where an error stopped all of it. Raises ConfigError before anything is recorded.
    """
    console = Terminal(highlight=False)
    try:
        report = work(console)
    except ConfigError:
        raise
    except Exception as error:
        kept = "what was recorded until then is readable" if (folder / RECORD_FILE).exists() else "nothing was recorded"
        tell(f"stopped by {_reason(error)}; {kept}")
        sys.exit(FAILED)
    finally:
        if (folder / RECORD_FILE).exists():
            recorded()
    (_tell_run if report.record.sweep is None else _tell_sweep)(report, console)
    _tell_places(report, console)
    failures = [result for result in report.results if result.failure is not None]
    for result in failures[:_FEW]:
        console.print(f"FAILED  {result.folder}: {result.failure}", markup=False, soft_wrap=True)
        if (result.folder / ERROR_FILE).is_file():
            _tell_traceback(result.folder / ERROR_FILE, report, console)
    if len(failures) > _FEW:
        more = f"pgexp-status --all {shlex.quote(str(report.record.folder))}"
        console.print(f"and {len(failures) - _FEW:,} more: {more}", markup=False, soft_wrap=True)
    return report


def fail(at_once: bool = True) -> None:
    """End the command with 1, since a run failed: at once, or when all else that it does is done."""
    if at_once:
        sys.exit(FAILED)
    fail_at_last()


def _tell_traceback(path: Path, report: Report, console: Console) -> None:
    """Print where a run failed, of a sweep's only in which file that stands."""
    if report.record.sweep is None:
        print(path.read_text(encoding="utf-8"), end="", file=sys.stderr)
    console.print(f"        its traceback is in {path}", markup=False, soft_wrap=True)


def _reason(error: Exception) -> str:
    """Return what an exception says; print first where it came from, unless the system refused one of pgexp's files."""
    trace = error.__traceback__
    while trace is not None and _is_library(trace):
        trace = trace.tb_next
    if isinstance(error, WorkersError):
        return str(error)
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
    runs = Following(report.record).look().runs
    done = sum(run.state == "finished" for run in runs)
    before = f", {report.reused:,} of them before" if report.reused else ""
    pruned = sum(run.state == "pruned" for run in runs)
    cut = f", {pruned:,} pruned" if pruned else ""
    told = f"{done:,} of {len(runs):,} runs done{before}{cut}: {report.record.name}"
    console.print(told, markup=False, soft_wrap=True)


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
