"""Finds mistakes in the values of a sweep before Hydra composes its jobs, which takes it a tenth of a second each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from pgexp.cli.errors import chosen
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.parse import parse


def check_values(arguments: Sequence[str]) -> None:
    """Raise ConfigError where a value that a sweep sets is wrong in the first of the options it chooses.

    What can't be told so early (a key that only another of its options has) is left to the composing of each job.
    """
    try:
        overrides = OverridesParser.create().parse_overrides([item for item in arguments if "=" in item])
        first: Any = OmegaConf.to_container(chosen(arguments))
    except HydraException:
        return
    plain = {override.key_or_group: override for override in overrides if override.package is None}
    settled = {name: _first(override) for name, override in plain.items() if _set(first, name, None)}
    for name, value in settled.items():
        _set(first, name, value)
    for name in settled:
        for value in _values(plain[name]):
            _set(first, name, value)
            parse(first)
        _set(first, name, settled[name])


def _first(override: Override) -> Any:
    for value in _values(override):
        return value
    given = (override.input_line or "").partition("=")[2]
    raise ConfigError([Problem(override.key_or_group, f"given {given}; a sweep over nothing has no runs")])


def _values(override: Override) -> Iterator[Any]:
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return iter([sweep.start, sweep.end])
    if override.is_sweep_override():
        return (item.text if isinstance(item, QuotedString) else item for item in override.sweep_iterator())
    return iter([override.value()])


def _set(config: dict[Any, Any], key: str, value: Any) -> bool:
    """Set a value that the config has; return whether it has it."""
    *path, last = key.split(".")
    for name in path:
        config = config.get(name) or {}
    if last not in config or isinstance(config[last], Mapping):
        return False
    config[last] = value
    return True
