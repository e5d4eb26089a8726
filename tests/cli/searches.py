"""Searches without a training: a launcher whose jobs come to a closed form of what they are given."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from optuna.study import Study

from pgexp.cli.searching.start import carried_out, prepared
from tests.conftest import CONF

Values = Mapping[str, Any]
STORAGE = "hydra.sweeper.storage="
ASIDE = ("hydra.", "+hydra.", "sweep.")  # what is no override of a job
COMPOSED = (
    *ASIDE,
    "budget.",
    "env=",
    "++env.",
    "workers.",
    "tracking.",
    "checkpoint.",
)  # what the config has; x, y and the like it has not

Score = Callable[[Values], float | None]


def quadratic(values: Values) -> float:
    """The seeds 0, 1, 2 shift it by 0, 1, 2; it is lowest at x = 3."""
    return (values["x"] - 3.0) ** 2 + values.get("seed", 0)


class Calculator(Launcher):
    """Comes to each job's score at once; remembers what it was asked to launch, and the number of each first job."""

    def __init__(self, score: Score = quadratic) -> None:
        self.score = score
        self.calls: list[list[Values]] = []
        self.first: list[int] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        raise NotImplementedError

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = [read(overrides) for overrides in job_overrides]
        self.calls.append(jobs)
        self.first.append(initial_job_idx)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=self.score(job)) for job in jobs]

    @property
    def jobs(self) -> list[Values]:
        return [job for call in self.calls for job in call]


def read(overrides: Sequence[str]) -> Values:
    """Return what a job's overrides say, as Hydra reads them."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.key_or_group: override.value() for override in parsed}


def searched(folder: Path, *words: str, launcher: Calculator | None = None, keep: bool = False) -> Calculator:
    """Search as `pgexp -m hydra/sweeper=optuna ...` does in that sweep's folder.

    The study is in memory, unless it is to be kept, or a word says where it is.
    """
    storage = [word.removeprefix(STORAGE) for word in words if word.startswith(STORAGE)]
    settings = [word for word in words if word.startswith(COMPOSED) and not word.startswith(STORAGE)]
    composed, loader = _composed(tuple(settings))
    config = copy.deepcopy(composed)
    config.hydra.sweep.dir = str(folder)
    config.hydra.sweeper.storage = [None if keep else "sqlite:///:memory:", *storage][-1]
    used = launcher or Calculator()
    found = prepared(config, loader, used, [word for word in words if not word.startswith(ASIDE)])
    carried_out(found, config, ["-m", *words])
    return used


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
