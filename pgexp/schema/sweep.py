"""Settings of a sweep: its objective, its workers, what it prunes. They decide no number of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pgexp.schema.check import check
from pgexp.schema.config import Option, parameters_of
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import FINAL_RETURN
from pgexp.schema.parse import parse_option

OF_SWEEPS: Final = ("sweep", "workers")  # a config's keys that are read here


@dataclass(frozen=True)
class Objective:
    """What a sweeper is told of each job."""

    metric: str = FINAL_RETURN  # the last value that was recorded of it
    direction: Literal["maximize", "minimize"] = "maximize"


@dataclass(frozen=True)
class Sweep:
    """How a sweep is carried out."""

    dry_run: bool = False
    rerun: bool = False
    fail_fast: bool = False
    pruner: Literal["none", "median", "successive_halving"] = "none"
    selected_from: str | None = None  # the sweep by whose seeds this one's configurations were chosen
    objective: Objective = field(default_factory=Objective)


@dataclass(frozen=True)
class Settings:
    """A sweep's settings, and the workers that train its runs."""

    sweep: Sweep
    workers: Option


def parse_settings(config: Mapping[str, Any]) -> Settings:
    """Return the settings in a composed config, plain mappings and values. Raises ConfigError with every mistake."""
    given = config.get("sweep")
    if not isinstance(given, Mapping):
        raise ConfigError([Problem("sweep", f"given {given!r}; must be a mapping of keys")])
    goal = given.get("objective", {})
    if not isinstance(goal, Mapping):
        raise ConfigError([Problem("sweep.objective", f"given {goal!r}; must be a mapping of keys")])
    objective, problems = check(goal, parameters_of(Objective), "sweep.objective")
    own = {name: value for name, value in given.items() if name != "objective"}
    values, more = check(own, parameters_of(Sweep), "sweep", ("objective",))
    workers, others = parse_option("workers", config.get("workers"))
    if problems or more or others or workers is None:
        raise ConfigError([*problems, *more, *others])
    return Settings(Sweep(**values | {"objective": Objective(**objective)}), workers)
