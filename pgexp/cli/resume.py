"""Command `pgexp-resume`: resumes stopped runs, or extends the budget of finished ones."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgexp.cli.entrypoint import read_options, read_pairs, run_command
from pgexp.cli.messages import FAILED
from pgexp.schema.types import PositiveInt

DESCRIPTION = """\
Resume a run, or the runs of a sweep, after a kill, an error or Ctrl-C. Results are bit-identical to those of an
uninterrupted run. Rows after the last checkpoint are computed again, and must equal the recorded ones.

With a longer budget, continue finished runs in a new folder. The command prints whether the results equal those of a
run with the longer budget from the start."""
OPTIONS_HELP = """options, as key=value:
  budget.steps=400_000   the longer budget (or budget.episodes=...)
  folder=DIR             the new folder (default: outputs/<date>/<time>, for a sweep multirun/<date>/<time>)
  workers.processes=4    changed settings of the sweep (keys of workers and sweep)
  env.kwargs.token=...   a secret that was masked when the run was recorded
"""
_OWN = ("budget.", "folder=")
_SWEEP = ("sweep.", "workers.")


@dataclass(frozen=True)
class Options:
    """Options of the command. Keys of the budget are without their section."""

    steps: PositiveInt | None = None
    episodes: PositiveInt | None = None
    folder: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if a run is not finished, 2 for a user's mistake."""
    arguments = _parser().parse_args(argv)
    return run_command("pgexp-resume", lambda: _resume(arguments), "repeat the command to continue")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgexp-resume",
        description=DESCRIPTION,
        epilog=OPTIONS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="FOLDER", help="folder of a single run or a sweep")
    parser.add_argument("options", metavar="KEY=VALUE", nargs="*", help="see below")
    parser.add_argument("--any-code", action="store_true", help="resume even if the code has changed")
    return parser


def _resume(arguments: argparse.Namespace) -> int:
    settings = read_pairs([item for item in arguments.options if item.startswith(_SWEEP)])
    others = [item for item in arguments.options if not item.startswith(_SWEEP)]
    own = [item.removeprefix("budget.") for item in others if item.startswith(_OWN) or "." not in item]
    secrets = dict(item.split("=", 1) for item in others if not item.startswith(_OWN) and "." in item)
    folder, options = Path(arguments.run).absolute(), read_options(own, Options)

    from pgexp.cli.training_report import train_and_report  # imports torch
    from pgexp.execution.resume import extend, is_complete, read_manifest, resume
    from pgexp.runs.manifest import read_config
    from pgexp.runs.run_log import RunState
    from pgexp.runs.status import StatusReader

    if options.steps is not None or options.episodes is not None:
        kind = "outputs" if read_manifest(folder).sweep is None else "multirun"
        new = Path(options.folder or f"{kind}/{datetime.now():%Y-%m-%d/%H-%M-%S}").absolute()
        is_exact = extend(folder, options.steps, options.episodes, new, secrets)
        print(f"The runs continue in {new}.")
        other = "a run with the longer budget from the start"
        print(f"Results equal those of {other}." if is_exact else f"Results differ from {other}: schedules had ended.")
        folder = new
    if secrets:
        manifest = read_manifest(folder)
        for run in manifest.runs:
            read_config(manifest.folder_of(run), secrets)  # raises UserError for keys that are not secrets
    if is_complete(folder):
        print(f"{folder}: all runs are complete. To extend them: pgexp-resume FOLDER budget.steps=...")
    else:
        train_and_report(lambda console: resume(folder, console, secrets, arguments.any_code, settings), folder)
    runs = StatusReader(read_manifest(folder)).read().runs
    return 0 if all(run.state == RunState.FINISHED for run in runs) else FAILED


if __name__ == "__main__":
    sys.exit(main())
