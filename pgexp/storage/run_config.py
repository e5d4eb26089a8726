"""A run's config in its folder: all that it takes to build the run again, secrets masked."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgexp.schema.config import RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import composed
from pgexp.schema.names import CONFIG_FILE
from pgexp.schema.parse import parse
from pgexp.storage.files import read_json, write_json
from pgexp.storage.secrets import find_masked, masked


def write_config(config: RunConfig, folder: Path) -> None:
    """Write a run's config into its folder."""
    write_json(folder / CONFIG_FILE, masked(composed(config)) | {"choices": dict(config.choices)})


def read_config(
    folder: Path, secrets: Mapping[str, Any] = MappingProxyType({}), changes: Mapping[str, Any] = MappingProxyType({})
) -> RunConfig:
    """Return the config of a run's folder, with secrets that were masked given anew, and some keys changed.

    Both are by dotted names. Raises ConfigError where the file is missing or damaged, a change is wrong, a secret is
    missing, or what is given for one never was masked.
    """
    try:
        fields = read_json(folder / CONFIG_FILE)
    except ValueError as error:
        raise ConfigError([Problem("run", f"{error}; no run was recorded there")]) from error
    choices = fields.pop("choices", {})
    if not isinstance(choices, dict):
        raise ConfigError([Problem("choices", f"given {choices!r}; must be a mapping of groups to options")])
    others = sorted(secrets.keys() - set(find_masked(fields)))
    if others:
        text = "is no secret that was masked; everything else is as the run was recorded"
        raise ConfigError([Problem(key, text) for key in others])
    for key, value in {**secrets, **changes}.items():
        _set(fields, key, value)
    missing = [key for key in find_masked(fields) if not key.startswith("tracking.")]
    if missing:
        text = f"a secret, and was masked when the run was recorded; give it again: {missing[0]}=..."
        raise ConfigError([Problem(missing[0], text)])
    return parse(fields, {str(group): str(option) for group, option in choices.items()})


def _set(fields: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    section = fields
    for name in path:
        section = section.setdefault(name, {}) if isinstance(section, dict) else section
    if not isinstance(section, dict):
        raise ConfigError([Problem(key, "is below a value, which has no keys")])
    section[last] = value
