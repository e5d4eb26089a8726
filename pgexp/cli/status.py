"""pgexp-status: how the runs of a sweep stand, once or for as long as they train."""

import argparse
import json
import shlex
import sys
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.measure import Measurement

from pgexp.cli.calling import called
from pgexp.cli.standing import Sight, find, looks
from pgexp.cli.status_table import fields, render
from pgexp.cli.streams import Terminal
from pgexp.cli.telling import INTERRUPTED, tell
from pgexp.execution.progress import ProgressDisplay
from pgexp.schema.errors import ConfigError
from pgexp.storage.record import Record
from pgexp.storage.recorded import is_marked
from pgexp.storage.secrets import mask_uri

COMMAND: Final = "pgexp-status"
DESCRIPTION = """\
Tell how the runs of a sweep, or a single run, stand: how many are done, running, failed, stopped and waiting, how fast
they train, how long it will take, and which configuration is the best so far. It reads their folders, and disturbs
nobody; any number may look at once, from any machine that has the folders.

Where nobody trains the runs any more, MLflow is told so, if it does not know it yet."""
CODES = """\
exit code: 0 all runs have finished, 1 some have failed, or stopped and can go on, 3 the command that trains them is
           still at work, 2 for a mistake, 130 for Ctrl-C"""
UNFINISHED: Final = 1
TRAINING: Final = 3

_WIDEST = 10_000  # columns


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code, as CODES says."""
    arguments = _parser().parse_args(argv)
    return called(COMMAND, lambda: _status(arguments), "MLflow may lack some of it; called again, it goes on")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=DESCRIPTION, epilog=CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="a sweep's folder or a run's, or one that has some below it: the newest (default: multirun and outputs)",
    )
    parser.add_argument("--all", action="store_true", help="list every configuration and every failure")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="look again each second, until nothing more is to come")
    how.add_argument("--json", action="store_true", help="print it as JSON, for scripts")
    return parser


def _status(arguments: argparse.Namespace) -> int:
    record, console = find(arguments.folder), Terminal(highlight=False)
    if arguments.watch:
        try:
            sight = _watched(record, console, arguments.all)
        except KeyboardInterrupt:
            return INTERRUPTED
    else:
        sight = next(looks(record))
        if arguments.json:
            print(json.dumps(fields(sight), indent=2, allow_nan=False), flush=True)
        else:
            _show(sight, console, arguments.all)
    if not sight.trained and not is_marked(sight.record):
        told = _brought(sight.record, console)
        if arguments.json:
            tell(told, COMMAND)
        else:
            console.print(told, markup=False, soft_wrap=True)
    if sight.trained:
        return TRAINING
    return 0 if sight.standing.count("finished") == len(sight.standing.runs) else UNFINISHED


def _watched(record: Record, console: Console, whole: bool) -> Sight:
    """Show the record until nothing more is to come: a table in a terminal, elsewhere a line now and then."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for sight in looks(record):
                live.update(render(sight, console.width, None if whole else console.height), refresh=True)
        return sight
    with ProgressDisplay(console, len(record.runs)) as display:
        for sight in looks(record):
            display.standing(sight.standing)
    _show(sight, console, whole)
    return sight


def _show(sight: Sight, console: Console, whole: bool) -> None:
    """Print a sight: what has room in the terminal, or the whole of it; elsewhere nothing is cut off."""
    if console.is_terminal:
        console.print(render(sight, console.width, None if whole else console.height))
        return
    rendered = render(sight, None, None)
    widest = Measurement.get(console, console.options.update(max_width=_WIDEST), rendered).maximum
    Terminal(highlight=False, width=widest).print(rendered)


def _brought(record: Record, console: Console) -> str:
    """Bring to MLflow what it lacks of a record that nobody trains, and return what came of it."""
    from pgexp.storage.draining import in_short, set_up_mlflow
    from pgexp.storage.syncing import sync

    set_up_mlflow()
    where = f"MLflow  {mask_uri(record.tracking.uri)}, experiment {record.tracking.experiment}"
    try:
        with console.status("bringing to MLflow what it lacks"):
            sync(record)
    except Exception as error:  # the libraries of a store and of its artifacts have errors of many kinds
        why = error.problems[0].text if isinstance(error, ConfigError) else in_short(error)
        return f"{where}: may lack some of this: {why}. When it is back: pgexp-sync {shlex.quote(str(record.folder))}"
    return f"{where}: has all of this now"


if __name__ == "__main__":
    sys.exit(main())
