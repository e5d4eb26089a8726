"""Launcher that trains the jobs of a sweep as a queue of runs (`hydra/launcher=queue`).

Hydra imports this module at the start of every application, so heavy imports are inside functions.
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
    """Config of the launcher: its class."""

    _target_: str = "hydra_plugins.pgexp_queue.QueueLauncher"


class QueueLauncher(Launcher):
    """Launcher that queues all jobs of a batch."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's context and config."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the jobs. Return each one's final score as its return value."""
        from pgexp.cli.sweep import launch

        return launch(self._context, self._config, job_overrides, initial_job_idx)


ConfigStore.instance().store(group="hydra/launcher", name="queue", node=QueueConf, provider="pgexp")
