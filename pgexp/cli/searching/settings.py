"""The settings of a search, typed and checked: what `hydra.sweeper` holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pgexp.schema.check import check
from pgexp.schema.config import parameters_of
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.types import NonNegativeInt, PositiveInt

KEY = "hydra.sweeper"


@dataclass(frozen=True)
class Settings:
    """How to search; what each field means, and its default, stands in `hydra_plugins.pgexp_optuna.OptunaConf`."""

    sampler: Literal["tpe", "random", "grid", "gp", "qmc", "cmaes"]
    sampler_kwargs: dict[str, Any]
    seed: NonNegativeInt
    trials: PositiveInt
    storage: str | None
    study: str | None
    params: dict[str, Any]


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings in the sweeper's config, plain mappings and values. Raises ConfigError with every mistake."""
    own = {name: value for name, value in given.items() if name != "_target_"}
    values, problems = check(own, parameters_of(Settings), KEY)
    params, wrong = _flat(values.get("params", {}))
    if problems or wrong:
        raise ConfigError([*problems, *wrong])
    return Settings(**values | {"params": params})


def _flat(params: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, str], list[Problem]]:
    """Return each key with its text, keys in keys joined by dots, and what is no text."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in params.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            inner, wrong = _flat(value, f"{key}.")
            found |= inner
            problems += wrong
        elif isinstance(value, str | int | float):
            found[key] = str(value)
        else:
            text = f"given {value!r}; must be a text as on the command line, as interval(0.9, 1) or none,value"
            problems.append(Problem(f"{KEY}.params.{key}", text))
    return found, problems
