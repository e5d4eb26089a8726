"""Sweeps as a launcher receives them from Hydra, before any job is composed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from tests.cli.conftest import OWN
from tests.cli.random_jobs import EXPERIMENTS
from tests.conftest import CONF


@dataclass(frozen=True)
class Sweep:
    """A sweep as a launcher receives it."""

    context: HydraContext
    master: DictConfig

    @property
    def loader(self) -> ConfigLoader:
        return self.context.config_loader


@contextmanager
def begun(folder: Path, *given: str) -> Iterator[Sweep]:
    """Begin a sweep in a folder, with a user's options and overrides of Hydra's config."""
    own = shutil.copytree(OWN, folder / "own")
    (own / "myconf" / "experiment").mkdir()
    for name, text in EXPERIMENTS.items():
        (own / "myconf" / "experiment" / f"{name}.yaml").write_text(text)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        setup_globals()
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        every = [f"hydra.searchpath=[file://{own}/myconf]", "hydra.job.name=named", *given]
        master = hydra.config_loader.load_configuration("config", every, RunMode.MULTIRUN)
        yield Sweep(HydraContext(hydra.config_loader, Callbacks()), master)
