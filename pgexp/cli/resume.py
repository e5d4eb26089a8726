"""pgexp-resume: goes on with runs that were stopped, or with finished ones under a longer budget."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgexp.cli.calling import called
from pgexp.cli.telling import FAILED
from pgexp.cli.words import read_pairs, read_words
from pgexp.schema.types import PositiveInt

DESCRIPTION = """\
Go on with a run, or with the runs of a sweep, that a kill, an error or Ctrl-C stopped. What comes of them equals what
would have come of them undisturbed, in every bit; what they had recorded is held against what they come to now.

With a budget that is longer than the one that was spent, go on with finished runs, in a new folder; whether that equals
a run of the longer budget from its start is said."""
WORDS = """what to change, as key=value:
  budget.steps=400_000   the longer budget (or budget.episodes=...)
  folder=DIR             the new folder (default: outputs/<date>/<time>, of a sweep multirun/<date>/<time>)
  workers.processes=4    how the sweep is carried out (any key of workers or sweep)
  env.kwargs.token=...   a secret, which was masked when the run was recorded
"""
_OWN = ("budget.", "folder=")
_OF_SWEEPS = ("sweep.", "workers.")


@dataclass(frozen=True)
class Wanted:
    """What the command's own words may say; a budget's keys without their section."""

    steps: PositiveInt | None = None
    episodes: PositiveInt | None = None
    folder: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 where a run failed, 2 for a mistake."""
    arguments = _parser().parse_args(argv)
    return called("pgexp-resume", lambda: _resume(arguments), "call it again to go on")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgexp-resume",
        description=DESCRIPTION,
        epilog=WORDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="FOLDER", help="a single run's folder, or a sweep's")
    parser.add_argument("words", metavar="KEY=VALUE", nargs="*", help="see below")
    parser.add_argument("--any-code", action="store_true", help="go on even if the code has changed since")
    return parser


def _resume(arguments: argparse.Namespace) -> int:
    of_sweeps = [word for word in arguments.words if word.startswith(_OF_SWEEPS)]
    words = [word for word in arguments.words if word not in of_sweeps]
    own = [word.removeprefix("budget.") for word in words if word.startswith(_OWN) or "." not in word]
    secrets = dict(word.split("=", 1) for word in words if not word.startswith(_OWN) and "." in word)
    settings = read_pairs(of_sweeps)
    folder, wanted = Path(arguments.run).absolute(), read_words(own, Wanted)

    from pgexp.cli.outcome import carried_out  # torch takes seconds
    from pgexp.execution.extending import extend
    from pgexp.execution.resuming import is_over, read_record, resume
    from pgexp.storage.following import Following
    from pgexp.storage.run_config import read_config

    if wanted.steps is not None or wanted.episodes is not None:
        kind = "outputs" if read_record(folder).sweep is None else "multirun"
        new = Path(wanted.folder or f"{kind}/{datetime.now():%Y-%m-%d/%H-%M-%S}").absolute()
        exact = extend(folder, wanted.steps, wanted.episodes, new, secrets)
        longer = "a run of the longer budget from its start"
        told = f"equals {longer}" if exact else f"differs from {longer}, whose rates would have been scheduled over it"
        print(f"extended in {new}; it {told}")
        folder = new
    if secrets:
        for run in (record := read_record(folder)).runs:
            read_config(record.folder_of(run), secrets)  # which refuses what is no secret
    if is_over(folder):
        print(f"{folder}: every run has come to its end. To train on: pgexp-resume FOLDER budget.steps=...")
    else:
        carried_out(lambda console: resume(folder, console, secrets, arguments.any_code, settings), folder)
    unfinished = [run for run in Following(read_record(folder)).look().runs if run.state != "finished"]
    return FAILED if unfinished else 0


if __name__ == "__main__":
    sys.exit(main())
