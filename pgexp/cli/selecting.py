"""What `pgexp-compare --select` does: chooses configurations by a sweep's seeds, to be reported on fresh ones."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgexp.cli.fresh_seeds import Grid, command, grid_of, joined
from pgexp.cli.recomposing import compose_again, recorded_composition
from pgexp.cli.telling import FAILED, INTERRUPTED
from pgexp.comparison.selecting import AND, fresh_seeds, select, selection_notes
from pgexp.comparison.store import ComparisonError, shown
from pgexp.schema.identity import configuration_key
from pgexp.statistics.digits import written
from pgexp.statistics.power import seeds_for

_CAUTION: Final = (
    "A mean is of the seeds that it was chosen by: as the best of several it is overstated. What the chosen are worth, "
    "fresh seeds tell:"
)


@dataclass(frozen=True)
class Selection:
    """What was chosen (`selecting.select`), what is to be known of it, and how it is trained on fresh seeds."""

    chosen: pd.DataFrame
    notes: list[str]
    commands: list[list[str]]  # the words after `pgexp`
    folders: list[Path]  # of the fresh sweeps, one a command


def make_selection(
    runs: pd.DataFrame, sweeps: Sequence[str], uri: str, by: Sequence[str] = (), seeds: int | None = None
) -> Selection:
    """Return what is chosen among the runs of some sweeps, by their ids, and the commands that report it.

    Each configuration is trained on so many fresh seeds, by default as many as show a difference of one standard
    deviation with power .8 (`power.seeds_for`: 17).

    The commands compose each chosen configuration from the overrides that Hydra recorded of one of its runs. That
    this gives the very same configuration today is made sure of here: ComparisonError where it does not, since a
    default may have been changed, or an option's file. ConfigError where it can't be composed any more.
    """
    chosen = select(runs, by)
    of_run = {run["run_id"]: run for run in runs.to_dict("records")}
    grids = joined([_grid(row, of_run[row["run_id"]], uri) for row in chosen.to_dict("records")])
    begun = datetime.now()
    stem = Path("multirun", f"{begun:%Y-%m-%d}")
    folders = [stem / f"{begun:%H-%M-%S}-selected-{number}" for number in range(len(grids))]
    fresh = fresh_seeds(runs, seeds_for(1.0) if seeds is None else seeds)
    commands = [command(grid, fresh, AND.join(sweeps), folder) for grid, folder in zip(grids, folders, strict=True)]
    return Selection(chosen, selection_notes(runs, chosen), commands, folders)


def tell_selection(selection: Selection, console: Console) -> None:
    """Print what was chosen, how far that can be trusted, and the commands that report it on fresh seeds."""
    console.print(_table(selection.chosen))
    for line in (*selection.notes, _CAUTION, *(f"  {line}" for line in command_lines(selection))):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def command_lines(selection: Selection) -> list[str]:
    """Return the lines, for a shell, that train what was chosen on fresh seeds and compare it."""
    calls = [["pgexp", *words] for words in selection.commands]
    lines = [shlex.join(call) for call in (*calls, ["pgexp-compare", *map(str, selection.folders)])]
    return [f"{line} && \\" for line in lines[:-1]] + lines[-1:]


def train(selection: Selection, environment: Mapping[str, str]) -> int:
    """Train what was chosen on fresh seeds, in processes of their own, and return the exit code.

    A run that fails stops nothing, as in any sweep; a command that is refused, or interrupted, is the last.
    """
    worst = 0
    for words in selection.commands:
        code = _called([sys.executable, "-m", "pgexp.cli.train", *words], environment)
        worst = max(worst, code)
        if code not in (0, FAILED):
            break
    return worst


def _called(call: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and return its exit code; Ctrl-C is left to it, which records what it was about first."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.Popen(call, env=environment).wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else INTERRUPTED


def _grid(chosen: Mapping[Any, Any], run: Mapping[Any, Any], uri: str) -> Grid:
    """Return the command of a chosen configuration. ComparisonError where it gives another one today."""
    recorded = recorded_composition(run["run_id"], run["artifacts"], uri)
    config = compose_again(recorded)
    if configuration_key(config) != chosen["configuration"]:
        raise ComparisonError(
            f"{chosen['configuration_name']} is another configuration today, since a default or an option's file has "
            f"been changed: go back to the code that trained it (pgexp-reproduce {run['run_id']} tells what differs)"
        )
    moved = {}  # where the fresh runs would else be recorded in another place than the sweep's
    if shown(config.tracking.uri) != shown(uri):
        moved["tracking.uri"] = shown(uri)
    if config.tracking.experiment != run["experiment"]:
        moved["tracking.experiment"] = str(run["experiment"])
    return grid_of(recorded, moved)


def _table(chosen: pd.DataFrame) -> Table:
    """Return the table of what was chosen; what is the same in each row is left out."""
    title = "Chosen" if chosen["environment"].nunique() > 1 else f"Chosen on {chosen['environment'].iloc[0]}"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    told = [column for column in ("environment", "method") if chosen[column].nunique() > 1]
    for heading in (*told, "configuration"):
        table.add_column(heading, overflow="fold")
    for heading in ("mean", "seeds", "failed", "best of", "overstated by"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in chosen.to_dict("records"):
        bias = "-" if isnan(row["bias"]) else f"about {row['bias']:.2g}"
        numbers = [written(row["score"]), str(row["n"]), str(row["failed"]), str(row["candidates"]), bias]
        table.add_row(*(Text(str(row[column])) for column in (*told, "configuration_name")), *numbers)
    return table
