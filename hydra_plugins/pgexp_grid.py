"""The sweeper that makes a grid of what a sweep's values are (`hydra/sweeper=grid`), as Hydra finds it.

It makes the jobs that Hydra's basic sweeper makes, and leaves their composing to the launcher, which has to do it
anyway. Hydra imports this at the start of each of its applications: nothing heavy here, all else where it is used.
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
    """The sweeper's config: its class, and the keys of Hydra's basic sweeper."""

    _target_: str = "hydra_plugins.pgexp_grid.GridSweeper"
    max_batch_size: int | None = None  # how many jobs are launched at a time; null: all of them
    params: dict[str, str] | None = None  # values to sweep beside those of the command line


class GridSweeper(Sweeper):
    """Launches a job for each combination of the values."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None) -> None:
        """Keep what is configured."""
        self._max_batch_size, self._params = max_batch_size, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over, and make the launcher."""
        from hydra.core.plugins import Plugins

        self._context, self._config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the jobs of the arguments, batch after batch; return what came of each batch."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create(config_loader=self._context.config_loader)
        swept = parser.parse_overrides([*(f"{key}={value}" for key, value in self._params.items()), *arguments])
        batches = BasicSweeper.split_arguments(swept, self._max_batch_size)
        folder = Path(self._config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, folder / "multirun.yaml")
        done: list[Sequence[JobReturn]] = []
        first = 0
        for batch in batches:
            done.append(self._launcher.launch(batch, initial_job_idx=first))
            for job in done[-1]:
                _ = job.return_value  # which raises where the job failed
            first += len(batch)
        return done


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridConf, provider="pgexp")
