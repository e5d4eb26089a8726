"""Identity of a run: the config fields that determine its results, and keys computed from them.

Tracking, checkpoints, videos and names of options do not change results, so they are not part of the identity.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from pgexp.schema.config import Option, RunConfig


def to_plain(value: Any) -> Any:
    """Return a part of a config as JSON values, with sorted mappings."""
    if isinstance(value, Option):
        return {"_target_": value.target, **{name: to_plain(item) for name, item in sorted(value.arguments.items())}}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(name): to_plain(item) for name, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def config_mapping(config: RunConfig) -> dict[str, Any]:
    """Return the whole config as plain mappings and values, in the layout that `parse` reads."""
    fields = {name: to_plain(getattr(config, name)) for name in config.__dataclass_fields__ if name != "choices"}
    fields["algorithm"] |= {"batch": fields.pop("batch")}
    return fields


def identity_fields(config: RunConfig) -> dict[str, Any]:
    """Return the fields that determine the run's results, as plain mappings and values."""
    fields = {
        name: to_plain(getattr(config, name))
        for name in config.__dataclass_fields__
        if name not in ("tracking", "registry", "checkpoint", "choices")
    }
    fields["env"] |= {"num_envs": config.num_envs}
    if config.env.dynamics is None:
        del fields["env"]["dynamics"]
    del fields["evaluation"]["video"], fields["env"]["vectorization"]
    return fields


def run_key(config: RunConfig) -> str:
    """Return the run's key. Two runs with equal keys and equal code have equal results."""
    return _digest(identity_fields(config))


def configuration_key(config: RunConfig) -> str:
    """Return the configuration's key: the run's key without the seed."""
    fields = identity_fields(config)
    del fields["seed"]
    return _digest(fields)


def extended_key(key: str, longer: str) -> str:
    """Return the key of an extended run that differs from a run with the longer budget from the start."""
    return _digest({"extends": key, "to": longer})


def _digest(fields: Mapping[str, Any]) -> str:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
