"""pgexp-compare: what sweeps found, as a table with intervals over seeds, as files, figures and a report."""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pgexp.cli.choosing import Choice, chosen
from pgexp.cli.compare_arguments import parsed
from pgexp.cli.streams import hush, settle, working_folder
from pgexp.cli.telling import FAILED, MISTAKE, tell, told
from pgexp.comparison.store import TRAIN, ComparisonError
from pgexp.schema.errors import ConfigError
from pgexp.storage.secrets import mask_text

if TYPE_CHECKING:
    import pandas as pd

    from pgexp.comparison.comparing import Comparison

MLFLOW_SETTINGS = {
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # it logs tracebacks of errors that are told here in a sentence
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # nothing is lost by giving up: a reader can ask again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for what is told in one sentence on stderr, or a training's."""
    settle()
    arguments = parsed(argv)
    surroundings = dict(os.environ)
    for setting, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(setting, value)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    try:
        working_folder()
        if arguments.select:
            return _select(arguments, surroundings)
        choice = _chosen(arguments)
        _compare(arguments, choice, _command(sys.argv[1:] if argv is None else argv, arguments, choice))
    except (ComparisonError, ConfigError) as error:
        tell(str(error), "pgexp-compare")
        return MISTAKE
    except BrokenPipeError:
        hush()
    except OSError as error:
        tell(told(error), "pgexp-compare")
        return MISTAKE
    return 0


def _command(argv: list[str], arguments: argparse.Namespace, choice: Choice) -> str:
    """Return the line that was called, without passwords, to be called again: the newest sweep by its id."""
    newest = () if arguments.sweeps else choice.sweeps or ()
    return shlex.join(map(mask_text, ["pgexp-compare", *newest, *argv]))


def _chosen(arguments: argparse.Namespace) -> Choice:
    return chosen(arguments.sweeps, arguments.runs, arguments.all, arguments.uri, arguments.experiment)


def _runs(choice: Choice) -> "pd.DataFrame":
    runs = choice.runs()
    if runs.empty:
        raise ComparisonError(f"{choice.where} holds no runs to compare yet; train some, for example: {TRAIN}")
    return runs


def _compare(arguments: argparse.Namespace, choice: Choice, command: str) -> None:
    """Compare the runs of a choice: write the files, print the table, and log the report if one is asked for."""
    from pgexp.comparison import comparing, frames, table, tasks, writing

    scale = None if arguments.scale is None else tasks.read_scale(arguments.scale)
    runs = _runs(choice)
    comparison = comparing.compare(
        runs,
        frames.metrics(runs, choice.uri),
        threshold=arguments.threshold,
        collapsed=arguments.collapsed,
        reference=arguments.reference,
        scale=scale,
        choosing=choice.choosing(runs),
        uri="" if choice.folders else choice.uri,
        command=command,
    )
    folder = arguments.out or choice.folder
    paths = writing.write_frames(comparison, folder)
    if arguments.report:
        paths += _reported(comparison, folder, arguments.question)
    else:
        paths += writing.write_figures(comparison, folder)
    table.show(comparison)
    print("", *comparison.notes, "", *_listed(paths), "", sep="\n")
    print(choice.footer)
    if arguments.report:
        print(_logged(comparison, choice, folder, paths))


def _listed(paths: list[Path]) -> list[str]:
    """Return the files, in the order in which they were written, those of one name as a shell has them: a.{png,svg}."""
    kinds: dict[Path, list[str]] = {}
    for path in paths:
        kinds.setdefault(path.with_suffix(""), []).append(path.suffix[1:])
    return [f"{stem}.{some[0]}" if len(some) == 1 else f"{stem}.{{{','.join(some)}}}" for stem, some in kinds.items()]


def _reported(comparison: "Comparison", folder: Path, question: str | None) -> list[Path]:
    from pgexp.comparison.report.writing import write_report

    return write_report(comparison, folder, question)


def _logged(comparison: "Comparison", choice: Choice, folder: Path, paths: list[Path]) -> str:
    """Log the report on the MLflow runs of the sweeps that were chosen; return a sentence that says so."""
    from pgexp.comparison.report.recording import log_report

    return log_report(comparison, choice.sweeps or (), folder, paths)


def _select(arguments: argparse.Namespace, surroundings: Mapping[str, str]) -> int:
    """Choose configurations and tell how they are reported on fresh seeds; train and compare these if asked to."""
    from rich.console import Console

    from pgexp.cli import selecting

    choice = _chosen(arguments)
    runs = _runs(choice)
    sweeps = runs["sweep"].dropna().unique().tolist()
    selection = selecting.make_selection(runs, sweeps, choice.uri, arguments.by or (), arguments.seeds)
    selecting.tell_selection(selection, Console())
    if not arguments.run:
        return 0
    code = selecting.train(selection, surroundings)
    if code in (0, FAILED):
        folders = list(map(str, selection.folders))
        fresh = argparse.Namespace(**vars(arguments) | {"sweeps": folders, "runs": None, "all": False})
        _compare(fresh, _chosen(fresh), shlex.join(["pgexp-compare", *folders]))
    return code
