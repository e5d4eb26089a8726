"""Printed result of a command that trains: scores, failures, and the places of the records."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console

import pgexp
from pgexp.algorithms.evaluator import EvaluationResult
from pgexp.cli.command_state import OutputDirs
from pgexp.cli.entrypoint import Terminal, print_plain
from pgexp.cli.messages import FAILED, format_os_error, print_error
from pgexp.execution.results import SweepResult
from pgexp.execution.workers.base import WorkersError
from pgexp.runs.run_log import RunState
from pgexp.runs.secrets import mask_uri
from pgexp.runs.status import StatusReader
from pgexp.schema.errors import UserError
from pgexp.schema.names import ERROR_FILE, MANIFEST_FILE
from pgexp.statistics.number_format import format_number

_PACKAGE = Path(pgexp.__file__).parent
_STANDARD_LIBRARY = Path(os.__file__).parent
_MAX_LISTED = 20  # returns, and failures, that are listed one by one


def train_and_report(
    train: Callable[[Console], SweepResult], folder: Path, output_dirs: OutputDirs | None = None
) -> SweepResult:
    """Train, print the results and return them.

    Exits with code 1 if an error stopped the training. Raises UserError before anything is recorded.

    Args:
        train: trains, and displays its progress on a console.
        folder: the output folder.
        output_dirs: the command's new folders, which are kept when a run is recorded.
    """
    console = Terminal(highlight=False)
    try:
        result = train(console)
    except UserError:
        raise
    except Exception as error:
        is_recorded = (folder / MANIFEST_FILE).exists()
        recorded = "what was recorded is readable" if is_recorded else "nothing was recorded"
        print_error(f"stopped by {_describe(error)}; {recorded}")
        sys.exit(FAILED)
    finally:
        if output_dirs is not None and (folder / MANIFEST_FILE).exists():
            output_dirs.keep()
    if result.manifest.sweep is None:
        _print_run(result, console)
    else:
        _print_sweep(result, console)
    _print_places(result, console)
    _print_failures(result, console)
    return result


def _print_failures(result: SweepResult, console: Console) -> None:
    failures = [run for run in result.results if run.failure is not None]
    for run in failures[:_MAX_LISTED]:
        print_plain(console, f"FAILED  {run.folder}: {run.failure}")
        path = run.folder / ERROR_FILE
        if path.is_file():
            if result.manifest.sweep is None:
                print(path.read_text(encoding="utf-8"), end="", file=sys.stderr)
            print_plain(console, f"        traceback: {path}")
    if len(failures) > _MAX_LISTED:
        command = f"pgexp-status --all {shlex.quote(str(result.manifest.folder))}"
        print_plain(console, f"and {len(failures) - _MAX_LISTED:,} more: {command}")


def _describe(error: Exception) -> str:
    """Return a description of an exception. Prints its traceback first, from a user's code on if that raised it.

    Errors of workers and of pgexp's files have a message that needs no traceback.
    """
    trace = error.__traceback__
    while trace is not None and _is_library(trace):
        trace = trace.tb_next
    if isinstance(error, WorkersError):
        return str(error)
    if trace is None and isinstance(error, OSError):
        return format_os_error(error)
    traceback.print_exception(type(error), error, trace or error.__traceback__)
    text = f"{type(error).__name__}: {error}"
    return text if trace is not None else f"an internal error ({text}). Please report it with the traceback above"


def _is_library(trace: TracebackType) -> bool:
    """Return whether a call is in pgexp, the standard library or an installed package, and not in a user's code."""
    file = Path(trace.tb_frame.f_code.co_filename)
    installed = "site-packages" in file.parts or file.is_relative_to(_STANDARD_LIBRARY)
    return file.is_relative_to(_PACKAGE) or installed


def _print_run(result: SweepResult, console: Console) -> None:
    evaluation = result.results[0].final_evaluation
    if evaluation is None:
        return
    if len(evaluation.returns) <= _MAX_LISTED:
        for episode, (score, length) in enumerate(zip(evaluation.returns, evaluation.lengths, strict=True)):
            console.print(f"episode {episode:>3}  return {format_number(score):>8}  steps {length:>6,}")
    print_plain(console, f"{result.manifest.runs[0].name}: {_summary(evaluation)}")


def _print_sweep(result: SweepResult, console: Console) -> None:
    runs = StatusReader(result.manifest).read().runs
    done = sum(run.state == RunState.FINISHED for run in runs)
    pruned = sum(run.state == RunState.PRUNED for run in runs)
    details = f", {result.reused:,} of them earlier" if result.reused else ""
    details += f", {pruned:,} pruned" if pruned else ""
    print_plain(console, f"{done:,} of {len(runs):,} runs done{details}: {result.manifest.name}")


def _summary(evaluation: EvaluationResult) -> str:
    returns = evaluation.returns
    span = f"from {format_number(returns.min())} to {format_number(returns.max())}"
    return f"final evaluation, {len(returns)} episodes: mean return {format_number(returns.mean())}, {span}"


def _print_places(result: SweepResult, console: Console) -> None:
    folder, tracking, export = result.manifest.folder, result.manifest.tracking, result.export
    uri = mask_uri(tracking.uri)
    print_plain(console, f"folder  {folder}")
    if export.state == "done":
        print_plain(console, f"MLflow  {uri}, experiment {tracking.experiment}")
        return
    reason = export.message or "it does not respond"
    print_plain(console, f"MLflow  {uri}: not everything could be recorded ({reason}). The folder contains all data.")
    print_plain(console, f"        When the store is available: pgexp-sync {shlex.quote(str(folder))}")
