"""Who a run is: the fields that decide its numbers, and the keys made of them.

Left out is what decides no number: where and how it is recorded, whether a video is made, what an option is called.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from pgexp.schema.config import Option, RunConfig


def plain(value: Any) -> Any:
    """Return a config's part as JSON has it, mappings sorted: in what order a user wrote them shows nowhere."""
    if isinstance(value, Option):
        return {"_target_": value.target, **{name: plain(item) for name, item in sorted(value.arguments.items())}}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def composed(config: RunConfig) -> dict[str, Any]:
    """Return the whole config as plain mappings and values, laid out as the one that `parse` reads."""
    fields = {name: plain(getattr(config, name)) for name in config.__dataclass_fields__ if name != "choices"}
    fields["algorithm"] |= {"batch": fields.pop("batch")}
    return fields


def deciding(config: RunConfig) -> dict[str, Any]:
    """Return the fields that decide the run's numbers, as plain mappings and values."""
    fields = {
        name: plain(getattr(config, name))
        for name in config.__dataclass_fields__
        if name not in ("tracking", "registry", "checkpoint", "choices")
    }
    fields["env"] |= {"num_envs": config.num_envs}
    if config.env.dynamics is None:
        del fields["env"]["dynamics"]
    del fields["evaluation"]["video"], fields["env"]["vectorization"]
    return fields


def run_key(config: RunConfig) -> str:
    """Return the run's key: two runs of equal keys and equal code have equal numbers."""
    return _digest(deciding(config))


def configuration_key(config: RunConfig) -> str:
    """Return the configuration's key: the run's, without the seed."""
    fields = deciding(config)
    del fields["seed"]
    return _digest(fields)


def extended_key(key: str, longer: str) -> str:
    """Return the key of a run that was extended, and differs from one of the longer budget from its start."""
    return _digest({"extends": key, "to": longer})


def _digest(fields: Mapping[str, Any]) -> str:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
