"""Sweeper that searches hyper-parameters with Optuna (`hydra/sweeper=optuna`).

Hydra imports this module at the start of every application, so heavy imports are inside functions.
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
    """Config of the sweeper: its class, and its settings (`hydra.sweeper.trials=40`)."""

    _target_: str = "hydra_plugins.pgexp_optuna.OptunaSweeper"
    sampler: Any = "tpe"  # tpe | random | grid | gp | qmc | cmaes: suggests the values of a trial
    sampler_kwargs: Any = field(default_factory=dict)  # further arguments of its class in optuna.samplers
    seed: Any = 0  # whole number >= 0: seed of the sampler
    trials: Any = 40  # total number of trials, including those already in the study
    storage: Any = None  # an Optuna URL, or an SQLite file's path; null: study.db in the sweep's folder
    study: Any = None  # name of the study; null: derived from the search, so that an equal command continues it
    params: Any = field(default_factory=dict)  # searched keys and their values, as on the command line


class OptunaSweeper(Sweeper):
    """Sweeper that asks Optuna for trials, trains their runs, and reports the scores to Optuna."""

    def __init__(self, **settings: Any) -> None:
        """Accept Hydra's arguments. The settings are read from the config in `setup`, where errors name their keys."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's context and config."""
        self._context, self._config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        """Search."""
        from pgexp.cli.search.run import run_search

        run_search(self._context, self._config, arguments, sys.argv[1:])


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaConf, provider="pgexp")
