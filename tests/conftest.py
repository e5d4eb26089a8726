"""What all tests share: the settings on which bits depend, and configs composed as the command composes them."""

from pgexp.schema import determinism

determinism.pin()

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from pgexp.cli.config import typed
from pgexp.schema.config import RunConfig

torch.set_num_threads(1)

Compose = Callable[..., RunConfig]
CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(scope="session")
def configured() -> Compose:
    """Return a function from overrides to the typed config."""

    def composed(*overrides: str) -> RunConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        return typed(config, choices)

    return composed
