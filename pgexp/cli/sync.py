"""Command `pgexp-sync`: copies recorded runs to MLflow after the store was unreachable."""

import argparse
import sys
from pathlib import Path

from pgexp.cli.entrypoint import run_command
from pgexp.cli.messages import FAILED, print_error
from pgexp.runs.manifest import find_manifests, load_manifest
from pgexp.runs.secrets import mask_uri
from pgexp.schema.errors import UserError
from pgexp.tracking.store import configure_export, short_error
from pgexp.tracking.sync import SyncResult, sync

COMMAND = "pgexp-sync"
DESCRIPTION = """\
Copy the rows and the status of recorded runs to MLflow. Rows that MLflow has already are not copied again, so the
command can be repeated at any time, also after a crash.

A run in training is left to the exporter of its command. A run whose command has died is marked as killed. A run that
was deleted in MLflow is restored.

The store is the one in the runs' config. If its address has a password, set MLFLOW_TRACKING_URI to the full address."""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if something could not be copied, 2 for a user's mistake."""
    arguments = _parser().parse_args(argv)
    configure_export()

    def work() -> int:
        folders = [found for path in arguments.folders for found in _find_manifests(path)]
        return max([_sync(folder) for folder in dict.fromkeys(folders)])

    return run_command(COMMAND, work, "repeat the command to continue")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="folder of a run, a sweep, or several of them, such as multirun"
    )
    return parser


def _find_manifests(path: str) -> list[Path]:
    """Return the folders of the manifests at a path. Raises UserError if there are none."""
    try:
        found = find_manifests(Path(path))
    except ValueError as error:
        raise UserError.at("FOLDER", str(error)) from error
    if not found:
        reason = "contains no recorded run" if Path(path).exists() else "no such folder"
        raise UserError.at("FOLDER", f"{reason} (got {path}). Pass the folder of a run or sweep, or multirun")
    return found


def _sync(folder: Path) -> int:
    """Copy the runs of a manifest, and print a line. Return the exit code."""
    try:
        manifest = load_manifest(folder)
    except ValueError as error:
        return _fail(str(error))
    store = f"{mask_uri(manifest.tracking.uri)}, experiment {manifest.tracking.experiment}"
    try:
        result = sync(manifest)
    except UserError as error:
        return _fail(f"{folder}: {error.problems[0].text}")
    except Exception as error:  # stores and artifact stores raise errors of many libraries
        return _fail(f"{folder}: could not copy everything to {store}: {short_error(error)}")
    print(f"{folder}: {_describe(result)} in {store}", flush=True)
    return 0


def _describe(result: SyncResult) -> str:
    if result.training is None:
        return f"{_count(result.runs, 'run')}, {_count(result.rows, 'row')}"
    if result.runs:
        return f"{_count(result.rows, 'row')} so far (process {result.training.pid} still trains)"
    return f"left to process {result.training.pid}, which still trains and records"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _fail(text: str) -> int:
    print_error(text, COMMAND)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
