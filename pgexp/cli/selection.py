"""Selection of configurations (`pgexp-compare --select`), and the commands that train them on fresh seeds.

A command sweeps a grid of values. Configurations that do not form a common grid get one command each.
"""

import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from math import isnan
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf, open_dict
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgexp.cli.entrypoint import print_plain
from pgexp.cli.messages import FAILED, INTERRUPTED
from pgexp.comparison.mlflow_store import display_uri, open_store
from pgexp.comparison.model_selection import AND, fresh_seeds, select, selection_notes
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import UserError
from pgexp.schema.identity import configuration_key
from pgexp.statistics.number_format import format_number
from pgexp.statistics.power import required_seeds
from pgexp.tracking.store import local_folder

_CAUTION: Final = (
    "These means are over the seeds by which the configurations were selected. As the best of several, they are too "
    "high. Fresh seeds give unbiased means:"
)
_CONFIG_DIR: Final = "--config-dir="
_SEARCH_PATH: Final = "hydra.searchpath=["
_NO_PARAMS: Final = "hydra.sweeper.params=null"  # the sweep in an experiment's file must not be repeated
_SWEEP_KEYS: Final = ("seed", "sweep.selected_from", "sweep.rerun", "sweep.dry_run")
_PLAIN: Final = re.compile(r"[\w./:+-]+")


@dataclass(frozen=True)
class Selection:
    """Selected configurations (`model_selection.select`), notes on them, and the commands for fresh seeds."""

    chosen: pd.DataFrame
    notes: list[str]
    commands: list[list[str]]  # arguments of pgexp
    folders: list[Path]  # of the fresh sweeps, one per command


@dataclass(frozen=True)
class RecordedOverrides:
    """Overrides of a recorded run including its seed, and the options of its command."""

    options: tuple[str, ...]
    overrides: tuple[str, ...]
    is_searched: bool = False  # whether an experiment's file selects a search, which would search over several values

    def without(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return the overrides except those of some keys, and of keys below them."""
        return tuple(item for item in self.overrides if not _sets_key(item, keys))


@dataclass(frozen=True)
class SweepCommand:
    """Command that sweeps a grid of values."""

    options: tuple[str, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]  # a key with its prefix and "=", and its values
    is_searched: bool

    @property
    def arguments(self) -> list[str]:
        """The arguments of the command."""
        return [*self.options, *(key + ",".join(texts) for key, texts in self.values)]


def make_selection(
    runs: pd.DataFrame, sweeps: Sequence[str], uri: str, by: Sequence[str] = (), seeds: int | None = None
) -> Selection:
    """Return the selection among the runs of some sweeps, and the commands that train it on fresh seeds.

    The commands repeat the overrides that Hydra recorded for a run of each configuration. Raises UserError if they
    give another configuration today, because a default or an option's file has changed.

    Args:
        runs: frame of the runs.
        sweeps: ids of their sweeps.
        uri: their store.
        by: factors; a configuration is selected for each combination of their values.
        seeds: number of fresh seeds; by default 17, which detect a difference of one standard deviation with power .8.
    """
    chosen = select(runs, by)
    of_run = {run["run_id"]: run for run in runs.to_dict("records")}
    commands = merge([_command_of(row, of_run[row["run_id"]], uri) for row in chosen.to_dict("records")])
    now = datetime.now()
    stem = Path("multirun", f"{now:%Y-%m-%d}")
    folders = [stem / f"{now:%H-%M-%S}-selected-{number}" for number in range(len(commands))]
    fresh = fresh_seeds(runs, required_seeds(1.0) if seeds is None else seeds)
    origin = AND.join(sweeps)
    arguments = [sweep_arguments(each, fresh, origin, folder) for each, folder in zip(commands, folders, strict=True)]
    return Selection(chosen, selection_notes(runs, chosen), arguments, folders)


def print_selection(selection: Selection, console: Console) -> None:
    """Print the selected configurations, notes, and the commands for fresh seeds."""
    console.print(_table(selection.chosen))
    for line in (*selection.notes, _CAUTION, *(f"  {line}" for line in command_lines(selection))):
        print_plain(console, line)


def command_lines(selection: Selection) -> list[str]:
    """Return shell commands that train the selection on fresh seeds and compare the runs."""
    calls = [["pgexp", *arguments] for arguments in selection.commands]
    lines = [shlex.join(call) for call in (*calls, ["pgexp-compare", *map(str, selection.folders)])]
    return [f"{line} && \\" for line in lines[:-1]] + lines[-1:]


def train(selection: Selection, environment: Mapping[str, str]) -> int:
    """Train the selection on fresh seeds in other processes, and return the largest exit code.

    A failed run does not stop the commands, but a usage error or Ctrl-C does.
    """
    largest = 0
    for arguments in selection.commands:
        code = _call([sys.executable, "-m", "pgexp.cli.train", *arguments], environment)
        largest = max(largest, code)
        if code not in (0, FAILED):
            break
    return largest


def _call(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and return its exit code. Ctrl-C is handled by the command, which then records its runs."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.Popen(command, env=environment).wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else INTERRUPTED


def _command_of(chosen: Mapping[Any, Any], run: Mapping[Any, Any], uri: str) -> SweepCommand:
    """Return the command of a selected configuration. Raises UserError if it gives another configuration today."""
    recorded = read_overrides(run["run_id"], run["artifacts"], uri)
    config = compose_recorded(recorded)
    if configuration_key(config) != chosen["configuration"]:
        raise UserError.at(
            "--select",
            f"{chosen['configuration_name']} is another configuration today, because a default or an option's file has "
            f"changed. Check out the code that trained it; pgexp-reproduce {run['run_id']} prints the differences",
        )
    changed = {}  # so that the fresh runs are recorded in the same store and experiment
    if display_uri(config.tracking.uri) != display_uri(uri):
        changed["tracking.uri"] = display_uri(uri)
    if config.tracking.experiment != run["experiment"]:
        changed["tracking.experiment"] = str(run["experiment"])
    return make_command(recorded, changed)


def make_command(recorded: RecordedOverrides, changed: Mapping[str, str]) -> SweepCommand:
    """Return the command of a recorded run without its seed, and with changed values of some keys."""
    items = recorded.without((*_SWEEP_KEYS, *changed))
    parts = [item.partition("=") for item in (*items, *(f"{key}={quote(text)}" for key, text in changed.items()))]
    values = tuple((key + sign, (value,)) for key, sign, value in parts)
    return SweepCommand(recorded.options, values, recorded.is_searched)


def merge(commands: Sequence[SweepCommand]) -> list[SweepCommand]:
    """Return fewer commands with the same configurations. Two that differ in one key's values become one.

    Commands of a search are not merged, because it would search over several values.
    """
    left = list(dict.fromkeys(commands))
    while found := next(_mergeable(left), None):
        first, second, merged = found
        left = [merged if each is first else each for each in left if each is not second]
    return left


def sweep_arguments(command: SweepCommand, seeds: range, origin: str, folder: Path) -> list[str]:
    """Return the arguments of pgexp that train a command's configurations on some seeds.

    Args:
        command: the command.
        seeds: the fresh seeds.
        origin: the sweep by which the configurations were selected, or "".
        folder: of the new sweep.
    """
    selected_from = [f"sweep.selected_from={quote(origin)}"] if origin else []
    fresh = f"seed=range({seeds.start},{seeds.stop})"
    return ["-m", *command.arguments, fresh, *selected_from, f"hydra.sweep.dir={quote(str(folder))}"]


def quote(text: str) -> str:
    """Return a text as the value of an override."""
    return text if _PLAIN.fullmatch(text) else QuotedString(text, Quote.single).with_quotes()


def _mergeable(commands: Sequence[SweepCommand]) -> Iterator[tuple[SweepCommand, SweepCommand, SweepCommand]]:
    """Yield pairs of commands that can be merged, each with the merged command."""
    for first, second in combinations(commands, 2):
        keys = [[key for key, _ in command.values] for command in (first, second)]
        if first.options != second.options or keys[0] != keys[1] or first.is_searched or second.is_searched:
            continue
        pairs = enumerate(zip(first.values, second.values, strict=True))
        differing = [index for index, (one, other) in pairs if {*one[1]} != {*other[1]}]
        if len(differing) == 1:
            yield first, second, _merge_values(first, second, differing[0])


def _merge_values(first: SweepCommand, second: SweepCommand, index: int) -> SweepCommand:
    key, texts = first.values[index]
    merged = (key, tuple(dict.fromkeys((*texts, *second.values[index][1]))))
    return replace(first, values=(*first.values[:index], merged, *first.values[index + 1 :]))


def read_overrides(run_id: str, artifacts: str, uri: str) -> RecordedOverrides:
    """Return the overrides of a run, from its artifacts or its folder. Raises UserError if they are damaged."""
    try:
        settings = _read_hydra_file("hydra.yaml", run_id, artifacts, uri)["hydra"]
        folders = [each["path"] for each in settings["runtime"]["config_sources"] if each["provider"] == "command-line"]
        options = [_CONFIG_DIR + folder for folder in folders]
        options += [item for item in settings["overrides"]["hydra"] if item.startswith(_SEARCH_PATH)]
        is_grid = settings["runtime"]["choices"]["hydra/sweeper"] == "grid"
        is_chosen = any(item.startswith("hydra/sweeper=") for item in settings["overrides"]["hydra"])
        options += [_NO_PARAMS] if is_grid and settings["sweeper"].get("params") else []
        overrides = tuple(map(str, settings["overrides"]["task"]))
        return RecordedOverrides(tuple(options), overrides, is_searched=not is_grid and not is_chosen)
    except (KeyError, TypeError, AttributeError) as error:
        text = f"Hydra's files of run {run_id} are damaged. Train its configuration with a command of your own"
        raise UserError.at("--select", text) from error


def compose_recorded(recorded: RecordedOverrides) -> RunConfig:
    """Return the typed config that recorded overrides give today, in the working directory. Raises UserError."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    from pgexp.cli.compose import config_folder, run_config
    from pgexp.cli.hydra_errors import translate

    overrides = [*_search_path(recorded.options), *recorded.overrides]
    sys.path.insert(0, str(Path.cwd()))  # for a user's modules
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("config", overrides=overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_readonly(config, False)
        with open_dict(config):
            del config["hydra"]
        return run_config(config, choices)
    except Exception as error:
        user_error = translate(error, overrides)
        if user_error is None:
            raise
        raise user_error from error
    finally:
        sys.path.pop(0)


def _search_path(options: Sequence[str]) -> list[str]:
    """Return the config folders of a command's options as one override, for Hydra's `compose`."""
    own = [f"file://{item.removeprefix(_CONFIG_DIR)}" for item in options if item.startswith(_CONFIG_DIR)]
    others = [item.removeprefix(_SEARCH_PATH).removesuffix("]") for item in options if item.startswith(_SEARCH_PATH)]
    return [f"{_SEARCH_PATH}{','.join([*own, *filter(None, others)])}]"] if own or others else []


def _sets_key(item: str, keys: Sequence[str]) -> bool:
    name = item.partition("=")[0].lstrip("+~")
    return any(name == key or name.startswith(f"{key}.") for key in keys)


def _read_hydra_file(name: str, run_id: str, artifacts: str, uri: str) -> Any:
    """Return the content of one of Hydra's files of a run."""
    folder = local_folder(artifacts)
    text = _read_local(folder, name) if folder is not None else _download(name, run_id, uri)
    hint = "Train its configuration with a command of your own"
    if text is None:
        raise UserError.at("--select", f"run {run_id} has no {name} of Hydra, so that its command is unknown. {hint}")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError.at("--select", f"{name} of run {run_id} cannot be read. {hint}") from error


def _read_local(folder: Path, name: str) -> str | None:
    for path in (folder / "config" / name, folder / ".hydra" / name):  # in the store, and in a run's folder
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


def _download(name: str, run_id: str, uri: str) -> str | None:
    with open_store(uri) as client, tempfile.TemporaryDirectory() as folder:
        if f"config/{name}" not in {artifact.path for artifact in client.list_artifacts(run_id, "config")}:
            return None
        return Path(client.download_artifacts(run_id, f"config/{name}", folder)).read_text(encoding="utf-8")


def _table(chosen: pd.DataFrame) -> Table:
    """Return the table of the selected configurations, without columns that are equal in all rows."""
    title = "Selected" if chosen["environment"].nunique() > 1 else f"Selected on {chosen['environment'].iloc[0]}"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    varying = [column for column in ("environment", "method") if chosen[column].nunique() > 1]
    for heading in (*varying, "configuration"):
        table.add_column(heading, overflow="fold")
    for heading in ("mean", "seeds", "failed", "best of", "overstated by"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in chosen.to_dict("records"):
        bias = "-" if isnan(row["bias"]) else f"about {row['bias']:.2g}"
        numbers = [format_number(row["score"]), str(row["n"]), str(row["failed"]), str(row["candidates"]), bias]
        table.add_row(*(Text(str(row[column])) for column in (*varying, "configuration_name")), *numbers)
    return table
