"""Sweeper that searches hyper-parameters with Optuna (`hydra/sweeper=optuna`), as Hydra finds it.

Hydra imports this at the start of each of its applications: nothing heavy here, all else where it is used.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class OptunaConf:
    """The sweeper's config: its class, and how it searches (`hydra.sweeper.trials=40`)."""

    _target_: str = "hydra_plugins.pgexp_optuna.OptunaSweeper"
    sampler: Any = "tpe"  # tpe | random | grid | gp | qmc | cmaes: what suggests a trial's values
    sampler_kwargs: Any = field(default_factory=dict)  # further arguments of its class in optuna.samplers
    seed: Any = 0  # whole number >= 0: of the sampler
    trials: Any = 40  # total number of trials, including those already in the study
    storage: Any = None  # an Optuna URL, or an SQLite file's path; null: study.db in the sweep's folder
    study: Any = None  # name of the study; null: derived from the search, so that an equal command continues it
    params: Any = field(default_factory=dict)  # searched keys and their values, as on the command line


class OptunaSweeper(Sweeper):
    """Asks Optuna for trials, trains their runs, and tells Optuna the results, trial by trial."""

    def __init__(self, **settings: Any) -> None:
        """Take what Hydra instantiates with. The settings are read, and checked, in the config that `setup` gets."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep Hydra's context and config."""
        self._context, self._config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        """Search."""
        from pgexp.cli.searching.start import search

        search(self._context, self._config, arguments, sys.argv[1:])


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaConf, provider="pgexp")
