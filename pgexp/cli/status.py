"""Command `pgexp-status`: shows the status of a run or sweep, once or while it trains."""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pgexp.cli.entrypoint import Terminal, print_plain, run_command
from pgexp.cli.messages import INTERRUPTED, print_error
from pgexp.execution.progress import STATE_LABELS, ProgressDisplay, format_duration, format_rate, state_counts
from pgexp.runs.locking import TRAINING_LOCK, WORKERS_LOCK, find_holder
from pgexp.runs.manifest import SweepManifest, load_manifest, manifest_of
from pgexp.runs.run_log import RunState
from pgexp.runs.secrets import mask_uri
from pgexp.runs.status import ConfigurationStatus, StatusReader, SweepStatus, leaderboard
from pgexp.schema.errors import UserError
from pgexp.schema.names import MANIFEST_FILE
from pgexp.statistics.number_format import format_number
from pgexp.tracking.sync_marker import is_synced

COMMAND: Final = "pgexp-status"
DESCRIPTION = """\
Show the status of a run or of the runs of a sweep: how many are done, running, failed, stopped and waiting, the speed,
the remaining time, and the best configuration so far. The command reads run folders only, so it can be called at any
time, and from any machine with access to the folders.

If no process trains the runs any more, the command copies rows to MLflow that the store lacks."""
EXIT_CODES = """\
exit code: 0 if all runs are finished, 1 if some have failed or stopped, 3 if a command still trains them,
           2 for a user's mistake, 130 after Ctrl-C"""
UNFINISHED: Final = 1
TRAINING: Final = 3

_POLL_SECONDS = 1.0
_ROOTS = ("multirun", "outputs")
_DEPTHS = ("*", "*/*")  # of a run's or sweep's folder below one of the roots
_MAX_WIDTH = 10_000  # columns outside a terminal

_MISSING = "-"
_MAX_FAILURES = 5  # listed without --all
_MIN_CONFIGURATIONS = 3  # listed in a terminal of any height
_MIN_NAME_WIDTH = 12  # columns
_OTHER_LINES = 6  # in the terminal: headings (2), a rule, the number of omitted rows, an empty line, the prompt
_COLUMN_GAP = 2
_MAX_REASON = 200  # characters


@dataclass(frozen=True)
class StatusSnapshot:
    """Status of the runs of a manifest at one moment."""

    manifest: SweepManifest
    status: SweepStatus
    is_training: bool  # whether a command trains the runs, or still records them in MLflow


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code, see EXIT_CODES."""
    arguments = _parser().parse_args(argv)
    return run_command(COMMAND, lambda: _status(arguments), "MLflow may lack some rows; repeat the command to continue")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=DESCRIPTION, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="folder of a run or sweep, or of several, of which the newest is shown (default: multirun and outputs)",
    )
    parser.add_argument("--all", action="store_true", help="list every configuration and every failure")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--watch", action="store_true", help="update the status each second until training ends")
    output.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _status(arguments: argparse.Namespace) -> int:
    manifest, console = find(arguments.folder), Terminal(highlight=False)
    if arguments.watch:
        try:
            snapshot = _watch(manifest, console, arguments.all)
        except KeyboardInterrupt:
            return INTERRUPTED
    else:
        snapshot = next(poll(manifest))
        if arguments.json:
            print(json.dumps(to_json(snapshot), indent=2, allow_nan=False), flush=True)
        else:
            _print(snapshot, console, arguments.all)
    if not snapshot.is_training and not is_synced(snapshot.manifest):
        message = _sync(snapshot.manifest, console)
        if arguments.json:
            print_error(message, COMMAND)
        else:
            print_plain(console, message)
    if snapshot.is_training:
        return TRAINING
    return 0 if snapshot.status.count(RunState.FINISHED) == len(snapshot.status.runs) else UNFINISHED


def _watch(manifest: SweepManifest, console: Console, show_all: bool) -> StatusSnapshot:
    """Show the status until training ends: as a table in a terminal, elsewhere as lines. Return the last snapshot."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for snapshot in poll(manifest):
                live.update(render(snapshot, console.width, None if show_all else console.height), refresh=True)
        return snapshot
    with ProgressDisplay(console, len(manifest.runs)) as display:
        for snapshot in poll(manifest):
            display.show_status(snapshot.status)
    _print(snapshot, console, show_all)
    return snapshot


def _print(snapshot: StatusSnapshot, console: Console, show_all: bool) -> None:
    """Print a snapshot: in a terminal what fits into its height, elsewhere everything at full width."""
    if console.is_terminal:
        console.print(render(snapshot, console.width, None if show_all else console.height))
        return
    rendered = render(snapshot, None, None)
    width = Measurement.get(console, console.options.update(max_width=_MAX_WIDTH), rendered).maximum
    Terminal(highlight=False, width=width).print(rendered)


def _sync(manifest: SweepManifest, console: Console) -> str:
    """Copy rows to MLflow that it lacks. Return a line with the result."""
    from pgexp.tracking.store import configure_export, short_error
    from pgexp.tracking.sync import sync

    configure_export()
    store = f"MLflow  {mask_uri(manifest.tracking.uri)}, experiment {manifest.tracking.experiment}"
    try:
        with console.status("copying rows to MLflow"):
            sync(manifest)
    except Exception as error:  # stores and artifact stores raise errors of many libraries
        reason = error.problems[0].text if isinstance(error, UserError) else short_error(error)
        command = f"pgexp-sync {shlex.quote(str(manifest.folder))}"
        return f"{store}: may lack some rows ({reason}). When the store is available: {command}"
    return f"{store}: complete"


def find(path: str | None) -> SweepManifest:
    """Return the manifest of a run's or sweep's folder, or else the newest below the folder or the default folders.

    Raises UserError if there is none, or if it is damaged.
    """
    if path is None:
        return _newest(map(Path, _ROOTS), "no recorded run in multirun or outputs")
    folder = Path(path)
    if (folder / MANIFEST_FILE).is_file():
        return _load(folder)
    parent = manifest_of(folder.absolute())
    if parent is not None:
        return parent
    reason = f"{'contains no recorded run' if folder.exists() else 'no such folder'} (got {path})"
    return _newest([folder, *(folder / root for root in _ROOTS)], reason)


def _newest(folders: Iterable[Path], reason: str) -> SweepManifest:
    """Return the manifest that was written last. Raises UserError with the reason if there is none."""
    found = [path for folder in folders for depth in _DEPTHS for path in folder.glob(f"{depth}/{MANIFEST_FILE}")]
    if not found:
        raise UserError.at("FOLDER", f"{reason}. Pass the folder of a run or sweep, or multirun")
    return _load(max(found, key=lambda path: path.stat().st_mtime).parent)


def _load(folder: Path) -> SweepManifest:
    try:
        return load_manifest(folder)
    except ValueError as error:
        raise UserError.at("FOLDER", str(error)) from error


def poll(manifest: SweepManifest) -> Iterator[StatusSnapshot]:
    """Yield a snapshot each second while a command trains the runs, and a last one. The manifest may grow."""
    reader, version = StatusReader(manifest), _version(manifest)
    while True:
        if (now := _version(manifest)) != version:
            manifest = _load(manifest.folder)
            reader, version = StatusReader(manifest), now
        status = reader.read()
        if not _is_training(manifest, status):
            break
        yield StatusSnapshot(manifest, status, is_training=True)
        time.sleep(_POLL_SECONDS)
    manifest = _load(manifest.folder)  # runs may have ended between the reading and the check
    yield StatusSnapshot(manifest, StatusReader(manifest).read().abandoned(), is_training=False)


def _version(manifest: SweepManifest) -> tuple[int, int]:
    """Return the identity of the manifest's file, which changes when it is written again."""
    found = (manifest.folder / MANIFEST_FILE).stat()
    return found.st_ino, found.st_mtime_ns


def _is_training(manifest: SweepManifest, status: SweepStatus) -> bool:
    """Return whether a process trains the runs. If the locks of another user cannot be checked, recent rows decide."""
    own = zip(manifest.runs, status.runs[: len(manifest.runs)], strict=True)  # reused runs are not running
    folders = [manifest.folder, *(manifest.folder_of(run) for run, state in own if state.state == RunState.RUNNING)]
    locks = [folder / TRAINING_LOCK for folder in dict.fromkeys(folders)]
    locks = [lock for lock in (*locks, manifest.folder / WORKERS_LOCK) if lock.exists()]
    accessible = [lock for lock in locks if os.access(lock, os.W_OK)]
    return any(map(find_holder, accessible)) or (len(accessible) < len(locks) and status.steps_per_second > 0)


def render(snapshot: StatusSnapshot, width: int | None, height: int | None) -> Group:
    """Return the text and table of a snapshot, shortened to a terminal's width and height if they are set."""
    configurations = leaderboard(snapshot.manifest, snapshot.status)
    name = Text(snapshot.manifest.name, style="bold")
    above = [name, Text(summary(snapshot.status)), *_best(configurations), Text()]
    below = [*_failures(snapshot, height is not None), *map(Text, _advice(snapshot))]
    room = None if height is None else height - len(above) - len(below) - _OTHER_LINES
    table = _table(configurations, snapshot.status, width, room)
    more = len(configurations) - table.row_count
    omitted = [Text(f"and {more:,} more: --all", style="dim")] if more else []
    if height is not None:
        for line in (*above, *omitted, *below):
            line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*above, table, *omitted, *([Text(), *below] if below else []))


def summary(status: SweepStatus) -> str:
    """Return a line with the share done, the number of runs per state, the speed and the remaining time."""
    parts = [f"{status.share:.0%}", *state_counts(status)]
    if status.steps_per_second:
        parts.append(f"{format_rate(status.steps_per_second)} steps/s")
    if status.seconds_left is not None:
        parts.append(f"{format_duration(status.seconds_left)} left")
    return "  ".join(parts)


def to_json(snapshot: StatusSnapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values. Unknown values are null."""
    manifest, status = snapshot.manifest, snapshot.status
    return {
        "folder": str(manifest.folder.absolute()),
        "name": manifest.name,
        "sweep": manifest.sweep,
        "training": snapshot.is_training,
        "over": status.is_over,
        **_counts(status),
        "share": status.share,
        "steps_per_second": status.steps_per_second,
        "seconds_left": status.seconds_left,
        "configurations": [
            {
                "name": each.name,
                **_counts(each.seeds),
                "final_return_mean": each.score,
                "final_returns": len(each.scores),
                "training_return_mean": each.return_mean,
            }
            for each in leaderboard(manifest, status)
        ],
        "runs": [
            {
                "name": run.name,
                "folder": run.folder,
                "key": run.key,
                "state": state.state.lower(),
                "steps": state.steps,
                "share": state.progress,
                "final_return_mean": state.score,
                "training_return_mean": state.return_mean,
                "reason": state.end.reason if state.end else "",
            }
            for run, state in zip(manifest.members, status.runs, strict=True)
        ],
    }


def _counts(status: SweepStatus) -> dict[str, int]:
    return {state.lower(): status.count(state) for state in STATE_LABELS}


def _best(configurations: Sequence[ConfigurationStatus]) -> Iterator[Text]:
    best = configurations[0]
    if best.score is not None:
        seeds = len(best.scores)
        mean = f"mean final return {format_number(best.score)} of {seeds} seed{'' if seeds == 1 else 's'}"
        yield Text(f"best so far  {best.name}: {mean}")
    elif best.return_mean is not None:
        seeds = best.seeds.count(RunState.RUNNING)
        mean = f"mean return {format_number(best.return_mean)} of {seeds} seed{'' if seeds == 1 else 's'} in training"
        yield Text(f"best so far  {best.name}: {mean}")


def _table(
    configurations: Sequence[ConfigurationStatus], status: SweepStatus, width: int | None, room: int | None
) -> Table:
    """Return the table of the configurations that fit into `room` lines. A long name takes several lines."""
    headings, lines = _numbers(configurations, status)
    widths = [max(map(len, (*heading.split("\n"), *cells))) for heading, *cells in zip(headings, *lines, strict=True)]
    name_width = None if width is None else max(_MIN_NAME_WIDTH, width - sum(widths) - _COLUMN_GAP * len(widths))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("configuration", max_width=name_width, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for each, numbers in zip(configurations, lines, strict=True):
        if room is not None:
            room -= 1 if name_width is None else len(wrap(each.name, name_width))
            if room < 0 and table.row_count >= _MIN_CONFIGURATIONS:
                break
        table.add_row(Text(each.name), *numbers)
    return table


def _numbers(
    configurations: Sequence[ConfigurationStatus], status: SweepStatus
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the headings, and the cells of each configuration. States without runs have no column."""
    states = [state for state in STATE_LABELS if state == RunState.FINISHED or status.count(state)]
    headings = [*(STATE_LABELS[state] for state in states), "final\nreturn"]
    lines = [[*(f"{each.seeds.count(state):,}" for state in states), _cell(each.score)] for each in configurations]
    if status.count(RunState.RUNNING):
        headings += ["training\nreturn", "steps/s"]
        for line, each in zip(lines, configurations, strict=True):
            rate = each.seeds.steps_per_second
            line += [_cell(each.return_mean), format_rate(rate) if rate else _MISSING]
    return headings, lines


def _cell(value: float | None) -> str:
    return _MISSING if value is None else format_number(value)


def _failures(snapshot: StatusSnapshot, is_short: bool) -> list[Text]:
    """Return a line per failed run: its folder and the reason."""
    own = snapshot.status.runs[: len(snapshot.manifest.runs)]  # reused runs have finished
    failed = [
        Text(f"FAILED  {snapshot.manifest.folder_of(run)}: {_one_line(state.end.reason)}")
        for run, state in zip(snapshot.manifest.runs, own, strict=True)
        if state.state == RunState.FAILED and state.end is not None
    ]
    if not is_short or len(failed) <= _MAX_FAILURES:
        return failed
    return [*failed[:_MAX_FAILURES], Text(f"and {len(failed) - _MAX_FAILURES:,} more failures: --all", style="dim")]


def _one_line(reason: str) -> str:
    """Return a reason, which may be an exception's text of several lines, as one short line."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in reason).split())
    return plain if len(plain) <= _MAX_REASON else f"{plain[: _MAX_REASON - 4]} ..."


def _advice(snapshot: StatusSnapshot) -> Iterator[str]:
    """Yield the commands that are useful next."""
    folder = shlex.quote(str(snapshot.manifest.folder))
    if snapshot.is_training and snapshot.status.is_over:
        yield "all runs have ended; their command still records them in MLflow"
    if not snapshot.is_training and not snapshot.status.is_over:
        yield f"no process trains the runs. To resume them: pgexp-resume {folder}"
    if snapshot.manifest.sweep is not None and not snapshot.is_training and snapshot.status.count(RunState.FINISHED):
        yield f"to compare them: pgexp-compare {folder}"


if __name__ == "__main__":
    sys.exit(main())
