"""Lets a key be set beside a sweep over the option that it belongs to."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException


def of_each_job(arguments: Sequence[str]) -> list[str]:
    """Return a sweep's arguments, in which a key that belongs to a swept option is a sweep of its one value.

    Hydra composes what all jobs have in common without what is swept. There ``network=gru,lstm network.units=8`` would
    set the units of the default network, which has none; swept, they are set in each job alone.
    """
    try:
        overrides = OverridesParser.create().parse_overrides([item for item in arguments if "=" in item])
    except HydraException:
        return list(arguments)  # it is told when Hydra reads them
    swept = {override.key_or_group for override in overrides if override.is_sweep_override()}
    rewritten = {
        override.input_line: f"{override.key_or_group}=choice({(override.input_line or '').partition('=')[2]})"
        for override in overrides
        if _set(override) and override.key_or_group.partition(".")[0] in swept - {override.key_or_group}
    }
    return [rewritten.get(item, item) for item in arguments]


def _set(override: Override) -> bool:
    return override.type == OverrideType.CHANGE and not override.is_sweep_override() and "." in override.key_or_group
