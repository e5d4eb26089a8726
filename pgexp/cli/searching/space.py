"""What a search is over: the keys that are suggested, those that all jobs share, and the seeds of each trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from optuna.distributions import BaseDistribution

from pgexp.cli.searching.distributions import Value, distribution, suggested, written
from pgexp.schema.errors import ConfigError, Problem


@dataclass(frozen=True)
class Space:
    """A search's space. Seeds are no dimension of it: they replicate each trial."""

    fixed: tuple[str, ...]  # overrides of every job
    added: Mapping[str, str]  # those of them, key and text, that Hydra left out of what it composed for all jobs
    seeds: tuple[str, ...]  # of every trial; none where the command does not set it, and the config's own is used
    searched: Mapping[str, BaseDistribution]

    @property
    def runs(self) -> int:
        """How many runs a trial has."""
        return max(1, len(self.seeds))

    def values(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return a trial's suggestions as the values that its jobs are given."""
        return {key: suggested(params[key], found) for key, found in self.searched.items()}

    def jobs(self, params: Mapping[str, Value]) -> list[list[str]]:
        """Return the overrides of a trial's jobs, one for each seed."""
        own = [*self.fixed, *(f"{key}={written(value)}" for key, value in self.values(params).items())]
        return [[*own, f"seed={seed}"] for seed in self.seeds] or [own]


def read_space(arguments: Sequence[str], params: Mapping[str, str], loader: ConfigLoader | None) -> Space:
    """Return the space that a command's arguments make, and the config's params where no argument sets the same key.

    Raises ConfigError where one of them is not a search.
    """
    parser = OverridesParser.create(config_loader=loader)
    overrides = parser.parse_overrides([*(f"{key}={text}" for key, text in params.items()), *arguments])
    last = {override.key_or_group: override for override in overrides}
    seed = last.pop("seed", None)
    searched = {item.get_key_element(): distribution(item) for item in last.values() if _is_searched(item)}
    fixed = {item.get_key_element(): _fixed(item) for item in last.values() if not _is_searched(item)}
    added = {key: text.partition("=")[2] for key, text in fixed.items() if text not in arguments}
    return Space(tuple(fixed.values()), added, () if seed is None else _seeds(seed), searched)


def _is_searched(override: Override) -> bool:
    """Return whether an override sweeps over more than the one value that it has for each job."""
    return override.is_sweep_override() and not _is_single(override)


def _is_single(override: Override) -> bool:
    sweep = override.value()
    return isinstance(sweep, ChoiceSweep) and len(sweep.list) == 1


def _fixed(override: Override) -> str:
    if _is_single(override):
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return override.input_line or ""


def _seeds(override: Override) -> tuple[str, ...]:
    if not override.is_sweep_override():
        return (override.get_value_element_as_str(),)
    if override.is_interval_sweep():
        text = "seeds are not searched, they replicate each trial: name them, as in seed='range(3)'"
        raise ConfigError([Problem("seed", f"given {override.get_value_string()}; {text}")])
    return tuple(dict.fromkeys(override.sweep_string_iterator()))
