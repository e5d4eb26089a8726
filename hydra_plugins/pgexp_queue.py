"""Launcher of sweeps (`hydra/launcher=queue`), as Hydra finds it.

Hydra imports this at the start of each of its applications: nothing heavy here, all else where it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class QueueConf:
    """The launcher's config: its class."""

    _target_: str = "hydra_plugins.pgexp_queue.QueueLauncher"


class QueueLauncher(Launcher):
    """Queues all jobs of a batch."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the jobs; return each one's final score as its return value."""
        from pgexp.cli.sweep import launch

        return launch(self._context, self._config, job_overrides, initial_job_idx)


ConfigStore.instance().store(group="hydra/launcher", name="queue", node=QueueConf, provider="pgexp")
