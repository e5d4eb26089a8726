"""Keeps recorded runs: refuses a folder that holds one, before Hydra writes its own files there."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pgexp.cli.telling import refuse
from pgexp.schema.errors import ConfigError
from pgexp.storage.record import require_new


class KeepRecordedRuns(Callback):
    """Called by Hydra when a single run's config is composed, and nothing is written yet."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit where the run's folder holds a recorded run; Hydra would make a warning of an exception."""
        try:
            require_new(Path(config.hydra.run.dir).absolute())
        except ConfigError as error:
            refuse(error)
