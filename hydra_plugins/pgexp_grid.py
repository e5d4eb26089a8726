"""Sweeper over a grid of values (`hydra/sweeper=grid`).

It creates the same jobs as Hydra's basic sweeper, but does not compose them, because the launcher does. Hydra imports
this module at the start of every application, so heavy imports are inside functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class GridConf:
    """Config of the sweeper: its class, and the keys of Hydra's basic sweeper."""

    _target_: str = "hydra_plugins.pgexp_grid.GridSweeper"
    max_batch_size: int | None = None  # number of jobs per launch; null: all
    params: dict[str, str] | None = None  # values to sweep, in addition to those of the command line


class GridSweeper(Sweeper):
    """Sweeper that launches a job per combination of the values."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None) -> None:
        """Store the settings."""
        self._max_batch_size, self._params = max_batch_size, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's context and config, and create the launcher."""
        from hydra.core.plugins import Plugins

        self._context, self._config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the jobs in batches. Return the results of each batch."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create(config_loader=self._context.config_loader)
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in self._params.items()), *arguments])
        batches = BasicSweeper.split_arguments(overrides, self._max_batch_size)  # nothing public does this
        folder = Path(self._config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, folder / "multirun.yaml")
        results: list[Sequence[JobReturn]] = []
        first = 0
        for batch in batches:
            results.append(self._launcher.launch(batch, initial_job_idx=first))
            for job in results[-1]:
                _ = job.return_value  # raises the job's exception
            first += len(batch)
        return results


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridConf, provider="pgexp")
