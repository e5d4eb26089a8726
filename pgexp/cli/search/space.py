"""Settings and space of a search: searched keys as Optuna's distributions, fixed overrides, and the seeds per trial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pgexp.schema.check import check
from pgexp.schema.config import parameters_of
from pgexp.schema.errors import Problem, UserError
from pgexp.schema.types import NonNegativeInt, PositiveInt

KEY: Final = "hydra.sweeper"

Value = str | int | float


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search. Their meanings and defaults are in `hydra_plugins.pgexp_optuna.OptunaConf`."""

    sampler: Literal["tpe", "random", "grid", "gp", "qmc", "cmaes"]
    sampler_kwargs: dict[str, Any]
    seed: NonNegativeInt
    trials: PositiveInt
    storage: str | None
    study: str | None
    params: dict[str, Any]


def read_settings(config: Mapping[str, Any]) -> SearchSettings:
    """Return the settings in the sweeper's config of plain mappings and values. Raises UserError with every mistake."""
    own = {name: value for name, value in config.items() if name != "_target_"}
    values, problems = check(own, parameters_of(SearchSettings), KEY)
    params, wrong = _flatten(values.get("params", {}))
    if problems or wrong:
        raise UserError([*problems, *wrong])
    return SearchSettings(**values | {"params": params})


def _flatten(params: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, str], list[Problem]]:
    """Return the text of each parameter by dotted key, and the problems of values that are not text or numbers."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in params.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            inner, wrong = _flatten(value, f"{key}.")
            texts |= inner
            problems += wrong
        elif isinstance(value, str | int | float):
            texts[key] = str(value)
        else:
            text = f"must be a string as on the command line, such as interval(0.9, 1) or none,value (got {value!r})"
            problems.append(Problem(f"{KEY}.params.{key}", text))
    return texts, problems


@dataclass(frozen=True)
class Space:
    """Space of a search. Seeds are not searched: each trial has a run per seed."""

    fixed: tuple[str, ...]  # overrides of every job
    added: Mapping[str, str]  # fixed values, by key, that are not in the config that Hydra composed for all jobs
    seeds: tuple[str, ...]  # of every trial; empty if the config's seed is used
    searched: Mapping[str, BaseDistribution]

    @property
    def runs(self) -> int:
        """The number of runs per trial."""
        return max(1, len(self.seeds))

    def values(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of a trial's jobs."""
        return {key: on_grid(params[key], found) for key, found in self.searched.items()}

    def jobs(self, params: Mapping[str, Value]) -> list[list[str]]:
        """Return the overrides of a trial's jobs, one job per seed."""
        own = [*self.fixed, *(f"{key}={override_text(value)}" for key, value in self.values(params).items())]
        return [[*own, f"seed={seed}"] for seed in self.seeds] or [own]


def read_space(arguments: Sequence[str], params: Mapping[str, str], loader: ConfigLoader | None) -> Space:
    """Return the space of a command's arguments, and of the config's parameters that no argument sets.

    Raises UserError if a value cannot be searched.
    """
    parser = OverridesParser.create(config_loader=loader)
    overrides = parser.parse_overrides([*(f"{key}={text}" for key, text in params.items()), *arguments])
    last = {override.key_or_group: override for override in overrides}
    seed = last.pop("seed", None)
    searched = {item.get_key_element(): distribution(item) for item in last.values() if _is_searched(item)}
    fixed = {item.get_key_element(): _fixed_text(item) for item in last.values() if not _is_searched(item)}
    added = {key: text.partition("=")[2] for key, text in fixed.items() if text not in arguments}
    return Space(tuple(fixed.values()), added, () if seed is None else _seeds(seed), searched)


def _is_searched(override: Override) -> bool:
    """Return whether an override sweeps over more than one value."""
    return override.is_sweep_override() and not _is_single(override)


def _is_single(override: Override) -> bool:
    sweep = override.value()
    return isinstance(sweep, ChoiceSweep) and len(sweep.list) == 1


def _fixed_text(override: Override) -> str:
    if _is_single(override):
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return override.input_line or ""


def _seeds(override: Override) -> tuple[str, ...]:
    if not override.is_sweep_override():
        return (override.get_value_element_as_str(),)
    if override.is_interval_sweep():
        text = f"must be a list of seeds, because seeds are not searched (got {override.get_value_string()})"
        raise UserError.at("seed", f"{text}. Write, for example, seed='range(3)'")
    return tuple(dict.fromkeys(override.sweep_string_iterator()))


def distribution(override: Override) -> BaseDistribution:
    """Return the distribution of a swept override. Raises UserError.

    ``interval(a, b)`` is every number from a to b, ``int(interval(a, b))`` every whole number, both ends included.
    ``range(a, b, step)`` has the same numbers as in other sweeps, without b. ``tag(log, ...)`` is a logarithmic scale.
    Other sweeps (``a,b``, ``choice(...)``, ``glob(...)``) are choices without an order.
    """
    sweep: Any = override.value()
    if isinstance(sweep, ChoiceSweep | RangeSweep) and sweep.shuffle:
        raise _error(override, "cannot be shuffled in a search. Remove shuffle")
    tags: set[str] = sweep.tags if isinstance(sweep, Sweep) else set()  # a glob has none
    if tags - {"log"}:
        raise _error(override, f"unknown tag {', '.join(sorted(tags - {'log'}))}. The only tag is log")
    log = "log" in tags
    if isinstance(sweep, IntervalSweep):
        return _interval(override, sweep, log)
    if isinstance(sweep, RangeSweep):
        return _range(override, sweep, log)
    if log:
        raise _error(override, "log needs an interval or a range")
    texts = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not texts:
        raise _error(override, "must have at least one value")
    return CategoricalDistribution(texts)


def _interval(override: Override, sweep: IntervalSweep, log: bool) -> BaseDistribution:
    assert sweep.start is not None  # Hydra's parser sets both
    assert sweep.end is not None
    low, high = sweep.start, sweep.end
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise _error(override, "must be from a finite number to a larger one")
    if log and low <= 0:
        raise _error(override, "must begin above 0 for a logarithmic scale")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _range(override: Override, sweep: RangeSweep, log: bool) -> BaseDistribution:
    start, stop, step = (Decimal(str(value)) for value in (sweep.start, sweep.stop, sweep.step))
    count = math.ceil((stop - start) / step) if step else 0
    if count <= 0:
        raise _error(override, "must have at least one value")
    low, high = sorted((start, start + (count - 1) * step))
    if log and (abs(step) != 1 or low <= 0):
        raise _error(override, "must begin above 0 and have the step 1 for a logarithmic scale. Or use an interval")
    if all(isinstance(value, int) for value in (sweep.start, sweep.stop, sweep.step)):
        return IntDistribution(int(low), int(high), log=log, step=int(abs(step)))
    return FloatDistribution(float(low), float(high), step=float(abs(step)))


def on_grid(value: Value, found: BaseDistribution) -> Value:
    """Return a suggested value as exact value of its range: the third step of 0.1 is 0.3, not 0.30000000000000004."""
    if not isinstance(found, FloatDistribution) or found.step is None:
        return value
    low, step = Decimal(str(found.low)), Decimal(str(found.step))
    return float(low + round((Decimal(value) - low) / step) * step)


def grid_values(key: str, found: BaseDistribution) -> list[Value]:
    """Return every value of a distribution. Raises UserError if it is not finite."""
    if isinstance(found, CategoricalDistribution):
        return [str(choice) for choice in found.choices]
    if isinstance(found, IntDistribution):
        return [*range(found.low, found.high + 1, found.step)]
    assert isinstance(found, FloatDistribution)  # there are these three
    if found.step is None:
        text = "must be a range or a list of values for a grid. Or choose another hydra.sweeper.sampler"
        raise UserError.at(key, text)
    steps = round((Decimal(str(found.high)) - Decimal(str(found.low))) / Decimal(str(found.step)))
    return [on_grid(found.low + step * found.step, found) for step in range(steps + 1)]


def override_text(value: Value) -> str:
    """Return a value as the text of an override. A float keeps all bits."""
    return repr(value) if isinstance(value, float) else str(value)


def yaml_value(value: Value) -> Any:
    """Return a value as in YAML: the choice ``8`` is a number, ``[16,16]`` a list."""
    return OverridesParser.create().parse_override(f"key={value}").value() if isinstance(value, str) else value


def display_text(value: Value) -> str:
    """Return a value for display, a float with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _error(override: Override, text: str) -> UserError:
    value = (override.input_line or "").partition("=")[2]
    problem, dot, hint = text.partition(". ")
    return UserError.at(override.get_key_element(), f"{problem} (got {value}){dot}{hint}")
