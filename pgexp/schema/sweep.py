"""Settings of a sweep: objective, workers and pruning. They do not change the results of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pgexp.schema.check import check
from pgexp.schema.config import Option, parameters_of
from pgexp.schema.errors import UserError
from pgexp.schema.names import FINAL_RETURN
from pgexp.schema.parse import parse_option

SWEEP_KEYS: Final = ("sweep", "workers")  # keys of a config that are parsed here


@dataclass(frozen=True)
class Objective:
    """Score of a run that a sweeper optimizes."""

    metric: str = FINAL_RETURN  # its last recorded value is the score
    direction: Literal["maximize", "minimize"] = "maximize"


@dataclass(frozen=True)
class Sweep:
    """Options of a sweep's execution."""

    dry_run: bool = False
    rerun: bool = False
    fail_fast: bool = False
    pruner: Literal["none", "median", "successive_halving"] = "none"
    selected_from: str | None = None  # id of the sweep from which the configurations were selected
    objective: Objective = field(default_factory=Objective)


@dataclass(frozen=True)
class Settings:
    """Settings of a sweep, and the workers that train its runs."""

    sweep: Sweep
    workers: Option


def parse_settings(config: Mapping[str, Any]) -> Settings:
    """Return the settings in a composed config of plain mappings and values. Raises UserError with every mistake."""
    sweep = config.get("sweep")
    if not isinstance(sweep, Mapping):
        raise UserError.at("sweep", f"must be a mapping of keys (got {sweep!r})")
    goal = sweep.get("objective", {})
    if not isinstance(goal, Mapping):
        raise UserError.at("sweep.objective", f"must be a mapping of keys (got {goal!r})")
    objective, problems = check(goal, parameters_of(Objective), "sweep.objective")
    own = {name: value for name, value in sweep.items() if name != "objective"}
    values, more = check(own, parameters_of(Sweep), "sweep", ("objective",))
    workers, others = parse_option("workers", config.get("workers"))
    if problems or more or others or workers is None:
        raise UserError([*problems, *more, *others])
    return Settings(Sweep(**values | {"objective": Objective(**objective)}), workers)
