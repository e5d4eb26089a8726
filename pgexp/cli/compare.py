"""pgexp-compare: what a sweep found, as a table with intervals over seeds, CSV files and learning curves."""

import argparse
import logging
import os
from pathlib import Path

from pgexp.cli.streams import hush, settle, working_folder
from pgexp.cli.telling import MISTAKE, tell, told
from pgexp.comparison.store import DEFAULT_URI, ComparisonError, open_ui, shown
from pgexp.schema.errors import ConfigError

DESCRIPTION = "Compare the runs of a sweep: a table with intervals over seeds, CSV files and learning curves."
MLFLOW_SETTINGS = {
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # it logs tracebacks of errors that are told here in a sentence
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # nothing is lost by giving up: a reader can ask again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 for what is told in one sentence on stderr."""
    settle()
    arguments = _parser().parse_args(argv)
    for setting, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(setting, value)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    try:
        working_folder()
        _compare(arguments)
    except (ComparisonError, ConfigError) as error:
        tell(str(error), "pgexp-compare")
        return MISTAKE
    except BrokenPipeError:
        hush()
    except OSError as error:
        tell(told(error), "pgexp-compare")
        return MISTAKE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pgexp-compare", description=DESCRIPTION)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "sweep",
        nargs="?",
        metavar="SWEEP",
        help="a sweep's folder, id or beginning of its id (default: the newest)",
    )
    which.add_argument("--all", action="store_true", help="compare every run of the experiment, of any sweep")
    parser.add_argument("--uri", help=f"MLflow store (default: the folder's own, or {DEFAULT_URI})")
    parser.add_argument("--experiment", metavar="NAME", help="MLflow experiment (default: all in the store)")
    parser.add_argument("--threshold", metavar="X", type=float, help="return to reach (default: the environment's own)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="output folder (default: comparison/<sweep id>)")
    return parser


def _compare(arguments: argparse.Namespace) -> None:
    sweep, uri, experiment = _named(arguments.sweep)
    uri = arguments.uri or uri or DEFAULT_URI
    experiment = arguments.experiment or experiment

    from pgexp.comparison import report, table

    chosen = None if arguments.all else _chosen(sweep, uri, experiment)
    comparison = report.compare(uri, experiment, chosen, arguments.threshold)
    paths = report.write(comparison, arguments.out or Path("comparison") / _folder_name(chosen))
    table.show(comparison.summary)
    print(*comparison.notes, "", *paths, "", sep="\n")
    print(f"Recorded in {shown(uri)}; to browse: {open_ui(uri)}")


def _folder_name(sweep: str | None) -> str:
    """Return the name of a comparison's folder; a sweep's id may come from a store that others write."""
    if sweep is not None and (sweep in (".", "..") or "/" in sweep):
        raise ComparisonError(f"the sweep's id {sweep!r} is no name of a folder: choose one with --out")
    return sweep or "all"


def _named(sweep: str | None) -> tuple[str | None, str | None, str | None]:
    """Return the sweep that is named, or that left the folder that is named, with its store and experiment."""
    if sweep is None or not ("/" in sweep or Path(sweep).exists()):
        return sweep, None, None

    from pgexp.storage.record import read

    try:
        record = read(Path(sweep))
    except ValueError as error:
        raise ComparisonError(f"{sweep} is no sweep's folder ({error})") from error
    if record.sweep is None:
        raise ComparisonError(f"{sweep} is the folder of a single run: name a sweep's, or use --all")
    return record.sweep, record.tracking.uri, record.tracking.experiment


def _chosen(sweep: str | None, uri: str, experiment: str | None) -> str | None:
    """Return the id of the sweep that is meant: the newest if none is named, None if the store has none."""
    from pgexp.comparison import frames, selection

    known = frames.sweeps(uri, experiment)
    if sweep is not None:
        return selection.find_sweep(sweep, known)
    return None if known.empty else str(known["sweep"].iloc[0])
