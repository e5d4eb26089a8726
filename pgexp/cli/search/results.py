"""Output of a search: its progress, its best trials, and the command that trains the best one on fresh seeds."""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import variance

import yaml
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgexp.cli.entrypoint import print_plain
from pgexp.cli.search.space import Space, display_text, override_text, yaml_value
from pgexp.cli.search.study import SCORES, Trials
from pgexp.runs.files import write_text
from pgexp.runs.secrets import mask_text
from pgexp.statistics.number_format import format_number
from pgexp.statistics.selection_bias import expected_maximum

RESULTS_FILE = "optimization_results.yaml"  # name and keys are those of Hydra's plugin for Optuna
_MAX_LISTED = 5  # trials in the table
_FIRST_FRESH_SEED = 100
_FRESH_SEEDS = 10


def progress_line(trials: Trials, space: Space) -> str:
    """Return a line with the number of ended trials, and the best one so far."""
    ended, best = trials.ended, trials.best
    failed = sum(trial.state == TrialState.FAIL for trial in ended)
    pruned = sum(trial.state == TrialState.PRUNED for trial in ended)
    line = f"search  {len(ended)} of {max(trials.total, len(ended))} trials done"
    line += f", {failed} failed" if failed else ""
    line += f", {pruned} pruned" if pruned else ""
    if not best:
        return line
    values = " ".join(f"{key}={display_text(value)}" for key, value in space.values(best[0].params).items())
    trial = ": ".join(filter(None, (f"trial {best[0].number}", values)))
    return f"{line}; best so far {format_number(_value(best[0]))}, {trial}"


def write_results(trials: Trials, space: Space, folder: Path) -> None:
    """Write the best trial so far to a file, if there is one."""
    for best in trials.best[:1]:
        params = {key: yaml_value(value) for key, value in space.values(best.params).items()}
        found = {"name": "optuna", "best_params": params, "best_value": best.value}
        write_text(folder / RESULTS_FILE, yaml.safe_dump(found, sort_keys=False, allow_unicode=True))


def print_results(trials: Trials, space: Space, metric: str, arguments: Sequence[str], console: Console) -> None:
    """Print the best trials, the bias of the best value, and the command that trains it on fresh seeds."""
    if not trials.best:
        console.print("No trial has a value, because each one failed or was pruned.", soft_wrap=True)
        return
    console.print(_table(trials, space, metric))
    print_plain(console, _caution(trials))
    command = [mask_text(word) for word in fresh_seeds_command(trials.best[0], space, arguments)]
    print_plain(console, f"  {shlex.join(command)}")


def fresh_seeds_command(best: FrozenTrial, space: Space, arguments: Sequence[str]) -> list[str]:
    """Return the command that trains the best trial of a search on seeds that the search did not use.

    arguments: those of the search. Its settings in an experiment's file may remain: without searched keys, there is
    one trial.
    """
    chosen = {key: override_text(value) for key, value in space.values(best.params).items()}
    replaced = ("hydra/sweeper", "hydra.sweeper", "hydra.sweep.dir", "sweep.pruner", "seed")
    kept = [item for item in arguments if not _sets_key(item, (*replaced, *chosen))]
    kept = kept if "-m" in kept or "--multirun" in kept else ["-m", *kept]
    first = max([_FIRST_FRESH_SEED, *(int(seed) + 1 for seed in space.seeds if seed.isdecimal())])
    own = [f"{key}={value}" for key, value in chosen.items()]
    return ["pgexp", *kept, *own, f"seed=range({first},{first + _FRESH_SEEDS})"]


def _sets_key(item: str, keys: Sequence[str]) -> bool:
    """Return whether an argument sets one of the keys, or a key below it."""
    name = item.partition("=")[0]
    return any(name == key or name.lstrip("+") == key or name.startswith(f"{key}.") for key in keys) and "=" in item


def _caution(trials: Trials) -> str:
    """Return a warning about the best value, with the size of its bias if that can be estimated."""
    valued = trials.best
    text = "The best value is over the seeds by which it was selected, so it is too high"
    groups = [trial.user_attrs[SCORES] for trial in valued if len(trial.user_attrs[SCORES]) > 1]
    if groups and len(valued) > 1:
        deviation = math.sqrt(sum(map(variance, groups)) / len(groups))
        bias = expected_maximum(len(valued)) * deviation / math.sqrt(len(groups[0]))
        text += f", by up to {format_number(bias)} if the {len(valued)} trials are equally good"
    return f"{text}. Fresh seeds give an unbiased value:"


def _table(trials: Trials, space: Space, metric: str) -> Table:
    table = Table(box=None, pad_edge=False)
    keys = list(space.searched)
    for name in ("trial", metric, "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    for key in keys:
        table.add_column(key, no_wrap=True)
    for trial in trials.best[:_MAX_LISTED]:
        values = space.values(trial.params)
        own = [str(trial.number), format_number(_value(trial)), str(len(trial.user_attrs[SCORES]))]
        table.add_row(*own, *(Text(display_text(values[key])) for key in keys))  # Text: brackets are not markup
    return table


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # only trials with a value are listed
    return trial.value
