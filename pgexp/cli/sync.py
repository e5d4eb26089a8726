"""pgexp-sync: brings to MLflow what was recorded while it was away."""

import argparse
import sys
from pathlib import Path

from pgexp.cli.telling import INTERRUPTED, MISTAKE
from pgexp.schema.errors import ConfigError
from pgexp.storage.draining import in_short, set_up_mlflow
from pgexp.storage.record import read
from pgexp.storage.secrets import mask_uri
from pgexp.storage.syncing import Synced, find_records, sync

DESCRIPTION = """\
Bring to MLflow what its runs' folders hold: every row once, and how each run ended. Whatever was brought over before
stays as it is, so that the command may be called again at any time, and after any crash.

A run that is still being trained is left to its own recorder. One that nobody trains any more, and that has not ended,
is marked as killed. A run that was deleted in MLflow is restored.

The store is the one that the runs were recorded for. If its address has a password, give it as MLFLOW_TRACKING_URI."""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 where something could not be brought over, 2 for a mistake."""
    arguments = _parser().parse_args(argv)
    set_up_mlflow()
    try:
        folders = [found for given in arguments.folders for found in _records(given)]
        return max([_tell(folder) for folder in dict.fromkeys(folders)])
    except ValueError as error:
        return _failed(str(error), MISTAKE)
    except KeyboardInterrupt:
        return _failed("interrupted; called again, it goes on from where it was", INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgexp-sync", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="FOLDER",
        help="a run's folder, a sweep's, or one that has some below it, such as multirun",
    )
    return parser


def _records(given: str) -> list[Path]:
    """Return the folders of the records that an argument names; a ValueError says that there are none."""
    found = find_records(Path(given))
    if not found:
        why = "there is no recorded run at or below it" if Path(given).exists() else "there is no such folder"
        raise ValueError(f"{given}: {why}; name a run's folder, a sweep's, or multirun")
    return found


def _tell(folder: Path) -> int:
    """Bring a folder's record over and say so in a line; return the exit code."""
    try:
        record = read(folder)
    except ValueError as error:
        return _failed(str(error), 1)
    where = f"{mask_uri(record.tracking.uri)}, experiment {record.tracking.experiment}"
    try:
        synced = sync(record)
    except ConfigError as error:
        return _failed(f"{folder}: {error.problems[0].text}", 1)
    except Exception as error:  # the libraries of a store and of its artifacts have errors of many kinds
        return _failed(f"{folder}: not everything could be brought to {where}: {in_short(error)}", 1)
    print(f"{folder}: {_told(synced)} in {where}", flush=True)
    return 0


def _told(synced: Synced) -> str:
    if synced.training is None:
        return f"{_count(synced.runs, 'run')}, {_count(synced.rows, 'row')}"
    if synced.runs:
        return f"{_count(synced.rows, 'row')} so far, as process {synced.training.pid} still trains it,"
    return f"process {synced.training.pid} still trains it, and has it recorded"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _failed(text: str, code: int) -> int:
    print(f"pgexp-sync: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
