"""The sweeper that searches hyper-parameters with Optuna (`hydra/sweeper=optuna`), as Hydra finds it.

Hydra imports this at the start of each of its applications: nothing heavy here, all else where it is used.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class OptunaConf:
    """The sweeper's config: its class, and how it searches (`hydra.sweeper.trials=40`)."""

    _target_: str = "hydra_plugins.pgexp_optuna.OptunaSweeper"
    sampler: Any = "tpe"  # tpe | random | grid | gp | qmc | cmaes: what suggests a trial's values
    sampler_kwargs: Any = field(default_factory=dict)  # further arguments of its class in optuna.samplers
    seed: Any = 0  # whole number >= 0: an equal search of an equal seed suggests the same again
    trials: Any = 40  # how many there are in the end, those counted that the study has already
    generation: Any = 10  # trials that are asked for, and trained, at once
    storage: Any = None  # an Optuna URL, or an SQLite file's path; null: study.db in the sweep's folder
    study: Any = None  # the study's name; null: one made of what is searched, so that an equal command goes on with it
    params: Any = field(default_factory=dict)  # keys and what is searched of each, as a command would say it


class OptunaSweeper(Sweeper):
    """Hands the launcher a generation of suggested jobs at a time, and tells Optuna what came of them."""

    def __init__(self, **settings: Any) -> None:
        """Take what Hydra instantiates with; it is read, and checked, in the config that `setup` is handed."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over, and make the launcher."""
        self._context, self._config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Search, and return the jobs of each generation."""
        from pgexp.cli.searching.start import search

        return search(self._config, self._context.config_loader, self._launcher, arguments, sys.argv[1:])


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaConf, provider="pgexp")
