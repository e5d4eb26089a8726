"""Overrides of a sweep: their parsing, early checks of their values, and keys that only swept options have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, OverrideType, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from pgexp.cli.hydra_errors import compose_options
from pgexp.schema.errors import UserError
from pgexp.schema.parse import parse


def prepare(arguments: Sequence[str]) -> list[str]:
    """Check the values of a sweep, and return its arguments for Hydra. Raises UserError if a value is wrong."""
    try:
        overrides = OverridesParser.create().parse_overrides([item for item in arguments if "=" in item])
    except HydraException:
        return list(arguments)  # Hydra raises the error
    distributed = distribute(arguments, overrides)
    check_values(arguments, overrides)
    return distributed


def distribute(arguments: Sequence[str], overrides: Sequence[Override]) -> list[str]:
    """Return the arguments with keys of swept options as sweeps over one value, which Hydra sets per job.

    Hydra composes the config that all jobs share without the swept options. ``network=gru,lstm network.units=8`` would
    set the units of the default network there, which has none.
    """
    swept = {override.key_or_group for override in overrides if override.is_sweep_override()}
    rewritten = {
        override.input_line: f"{override.key_or_group}=choice({(override.input_line or '').partition('=')[2]})"
        for override in overrides
        if _sets_nested_key(override) and override.key_or_group.partition(".")[0] in swept - {override.key_or_group}
    }
    return [rewritten.get(item, item) for item in arguments]


def _sets_nested_key(override: Override) -> bool:
    return override.type == OverrideType.CHANGE and not override.is_sweep_override() and "." in override.key_or_group


def check_values(arguments: Sequence[str], overrides: Sequence[Override]) -> None:
    """Raise UserError if a value is wrong in the first of the chosen options, before Hydra composes the jobs.

    Keys that only other options have are not checked here; Hydra checks them when it composes the jobs.
    """
    try:
        config: Any = OmegaConf.to_container(compose_options(arguments))
    except HydraException:
        return  # Hydra raises the error
    plain = {override.key_or_group: override for override in overrides if override.package is None}
    first = {key: _first_value(override) for key, override in plain.items() if _set(config, key, None)}
    for key, value in first.items():
        _set(config, key, value)
    for key in first:
        for value in _values(plain[key]):
            _set(config, key, value)
            parse(config)
        _set(config, key, first[key])


def _first_value(override: Override) -> Any:
    for value in _values(override):
        return value
    text = (override.input_line or "").partition("=")[2]
    raise UserError.at(override.key_or_group, f"must have at least one value (got {text})")


def _values(override: Override) -> Iterator[Any]:
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return iter([sweep.start, sweep.end])
    if override.is_sweep_override():
        return (item.text if isinstance(item, QuotedString) else item for item in override.sweep_iterator())
    return iter([override.value()])


def _set(config: dict[Any, Any], key: str, value: Any) -> bool:
    """Set a value of the config. Return whether the config has the key."""
    *path, last = key.split(".")
    for name in path:
        config = config.get(name) or {}
    if last not in config or isinstance(config[last], Mapping):
        return False
    config[last] = value
    return True
