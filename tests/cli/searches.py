"""Searches without training: the score of a run is a closed form of its overrides."""

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from optuna.study import Study
from rich.console import Console

from pgexp.cli.search.loop import Search
from pgexp.cli.search.run import create_folder, make_search, plain
from tests.conftest import CONF

Values = Mapping[str, Any]
STORAGE = "hydra.sweeper.storage="
ASIDE = ("hydra.", "+hydra.", "sweep.")  # prefixes of overrides that are not those of a job
COMPOSED = (
    *ASIDE,
    "budget.",
    "env=",
    "++env.",
    "workers.",
    "tracking.",
    "checkpoint.",
)  # prefixes of keys that exist in the config; x, y and so on do not

Score = Callable[[Values], float | None]


def quadratic(values: Values) -> float:
    """Return (x - 3) ** 2 plus the seed."""
    return (values["x"] - 3.0) ** 2 + values.get("seed", 0)


class Calculator:
    """Trainer that returns each score at once, and keeps the runs of each trial.

    Up to `places` runs train at the same time, and end in the order of their start.
    """

    def __init__(self, score: Score = quadratic, places: int = 1) -> None:
        self.score = score
        self.places = places
        self.calls: list[list[Values]] = []
        self.pruned: list[int] = []
        self.expected = 0
        self.has_failed = False
        self._waiting: list[int] = []

    def expect(self, runs: int) -> None:
        self.expected = runs

    @property
    def needs_more(self) -> bool:
        return len(self._waiting) < self.places

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        first = len(self.jobs)
        self.calls.append([read(overrides) for overrides in jobs])
        numbers = range(first, len(self.jobs))
        self._waiting += numbers
        return numbers

    def advance(self) -> Mapping[int, float | None]:
        if not self._waiting:
            return {}
        run = self._waiting.pop(0)
        score = self.score(self.jobs[run])
        self.has_failed |= score is None
        return {run: score}

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        return {}

    def prune(self, runs: Sequence[int]) -> None:
        self.pruned += runs

    @property
    def jobs(self) -> list[Values]:
        return [job for call in self.calls for job in call]


def read(overrides: Sequence[str]) -> Values:
    """Return the values of a job's overrides, parsed by Hydra."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.key_or_group: override.value() for override in parsed}


def searched(folder: Path, *words: str, trainer: Calculator | None = None, keep: bool = False) -> Calculator:
    """Search like `pgexp -m hydra/sweeper=optuna ...` in a sweep's folder.

    The study is in memory, unless `keep` is set or an argument sets its storage.
    """
    used = trainer or Calculator()
    found, config = _prepared(folder, words, keep)
    create_folder(found, config)
    console = Console(file=sys.stdout, width=1000, highlight=False)
    found.run(used, plain(config, resolve=False), ["-m", *words], console)
    return used


def first_trial(folder: Path, *words: str) -> tuple[list[list[str]], int]:
    """Return the overrides of the first trial's runs and the number of trials, as in a dry run."""
    return _prepared(folder, words, keep=True)[0].first_trial()


def _prepared(folder: Path, words: Sequence[str], keep: bool) -> tuple[Search, DictConfig]:
    storage = [word.removeprefix(STORAGE) for word in words if word.startswith(STORAGE)]
    settings = [word for word in words if word.startswith(COMPOSED) and not word.startswith(STORAGE)]
    composed, loader = _composed(tuple(settings))
    config = copy.deepcopy(composed)
    config.hydra.sweep.dir = str(folder)
    config.hydra.sweeper.storage = [None if keep else "sqlite:///:memory:", *storage][-1]
    return make_search(config, loader, [word for word in words if not word.startswith(ASIDE)]), config


@cache
def _composed(settings: tuple[str, ...]) -> tuple[DictConfig, ConfigLoader]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=["hydra/sweeper=optuna", *settings], return_hydra_config=True)
        return config, GlobalHydra.instance().config_loader()


def study_of(folder: Path) -> Study:
    """Return the study in a sweep's folder."""
    url = f"sqlite:///{folder / 'study.db'}"
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url)
