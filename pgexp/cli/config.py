"""The typed config of what Hydra composed."""

from collections.abc import Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pgexp.schema.config import RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.parse import parse


def typed(config: DictConfig, choices: Mapping[str, str | None]) -> RunConfig:
    """Return the typed config of a job, whose options have these names. Raises ConfigError."""
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "config"
        raise ConfigError([Problem(str(key), str(error).splitlines()[0])]) from error
    return typed_values(cast(dict[str, Any], values), choices)


def typed_values(values: Mapping[str, Any], choices: Mapping[str, str | None]) -> RunConfig:
    """Return the typed config of a job's plain values, in which nothing is left to resolve. Raises ConfigError."""
    named = {group: option for group, option in choices.items() if option is not None and "/" not in group}
    return parse(values, named)
