"""Tells how a search stands, and at its end what it found, how far that can be trusted, and how to know better."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import variance
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgexp.cli.searching.distributions import Value, natural, written
from pgexp.cli.searching.space import Space
from pgexp.cli.searching.study import SCORES
from pgexp.cli.searching.trials import Trials
from pgexp.statistics.best_of import expected_maximum
from pgexp.statistics.digits import written as rounded
from pgexp.storage.files import write_text
from pgexp.storage.secrets import mask_text

RESULTS_FILE = "optimization_results.yaml"  # its name and its keys are those of Hydra's own plugin for Optuna
_LISTED = 5  # so many trials stand in the table
_FRESH = 100  # the first of the seeds that the best is tried on again
_SEEDS = 10


def standing(trials: Trials, space: Space) -> str:
    """Return a line on how many trials are done, and which is the best so far."""
    told, best = trials.told, trials.best
    failed = sum(trial.state == TrialState.FAIL for trial in told)
    pruned = sum(trial.state == TrialState.PRUNED for trial in told)
    line = f"search  {len(told)} of {max(trials.wanted, len(told))} trials done"
    line += f", {failed} failed" if failed else ""
    line += f", {pruned} pruned" if pruned else ""
    if not best:
        return line
    found = ": ".join(filter(None, (f"trial {best[0].number}", _words(space, best[0]))))
    return f"{line}; best so far {rounded(_value(best[0]))}, {found}"


def write_results(trials: Trials, space: Space, folder: Path) -> None:
    """Write down the best trial so far, if there is one."""
    for best in trials.best[:1]:
        params = {key: natural(value) for key, value in space.values(best.params).items()}
        found = {"name": "optuna", "best_params": params, "best_value": best.value}
        write_text(folder / RESULTS_FILE, yaml.safe_dump(found, sort_keys=False, allow_unicode=True))


def tell_found(trials: Trials, space: Space, metric: str, arguments: Sequence[str], console: Console) -> None:
    """Print the best trials, how far the best value can be trusted, and the command that tries it on fresh seeds."""
    if not trials.best:
        console.print("No trial has a value: in each of them a run failed, or it was pruned.", soft_wrap=True)
        return
    console.print(_table(trials, space, metric))
    console.print(_caution(trials), markup=False, soft_wrap=True)
    command = [mask_text(word) for word in fresh_seeds(trials.best[0], space, arguments)]
    console.print(f"  {shlex.join(command)}", markup=False, soft_wrap=True)


def fresh_seeds(best: FrozenTrial, space: Space, arguments: Sequence[str]) -> list[str]:
    """Return the command, of a search called with such arguments, that trains its best trial on seeds it has not seen.

    What an experiment's file says of the search may stand: where no key is left to suggest, there is one trial.
    """
    chosen = {key: written(value) for key, value in space.values(best.params).items()}
    mine = ("hydra/sweeper", "hydra.sweeper", "hydra.sweep.dir", "sweep.pruner", "seed")
    kept = [item for item in arguments if not _sets(item, (*mine, *chosen))]
    kept = kept if "-m" in kept or "--multirun" in kept else ["-m", *kept]
    first = max([_FRESH, *(int(seed) + 1 for seed in space.seeds if seed.isdecimal())])
    own = [f"{key}={value}" for key, value in chosen.items()]
    return ["pgexp", *kept, *own, f"seed=range({first},{first + _SEEDS})"]


def _sets(item: str, keys: Sequence[str]) -> bool:
    """Return whether an argument sets one of the keys, or one below it."""
    name = item.partition("=")[0]
    return any(name == key or name.lstrip("+") == key or name.startswith(f"{key}.") for key in keys) and "=" in item


def _caution(trials: Trials) -> str:
    """Return what is to be known of the best value, with the size of its bias where that can be told."""
    valued = trials.best
    text = "The best value is of the seeds that it was chosen by, and overstated"
    groups = [trial.user_attrs[SCORES] for trial in valued if len(trial.user_attrs[SCORES]) > 1]
    if groups and len(valued) > 1:
        deviation = math.sqrt(sum(map(variance, groups)) / len(groups))
        bias = expected_maximum(len(valued)) * deviation / math.sqrt(len(groups[0]))
        text += f", by up to {rounded(bias)} where the {len(valued)} trials are alike"
    return f"{text}. What it is worth, fresh seeds tell:"


def _table(trials: Trials, space: Space, metric: str) -> Table:
    table = Table(box=None, pad_edge=False)
    keys = list(space.searched)
    for name in ("trial", metric, "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    for key in keys:
        table.add_column(key, no_wrap=True)
    for trial in trials.best[:_LISTED]:
        values = space.values(trial.params)
        own = [str(trial.number), rounded(_value(trial)), str(len(trial.user_attrs[SCORES]))]
        table.add_row(*own, *(Text(_short(values[key])) for key in keys))  # brackets are no markup
    return table


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # it is one of the best
    return trial.value


def _words(space: Space, trial: FrozenTrial) -> str:
    values: Mapping[str, Any] = space.values(trial.params)
    return " ".join(f"{key}={_short(value)}" for key, value in values.items())


def _short(value: Value) -> str:
    """Return a suggested value for people, who do not read a float's every bit."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
