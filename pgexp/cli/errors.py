"""Tells a mistake in a command line as pgexp tells all mistakes: the key, what was given, what is allowed."""

import re
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig

from pgexp.cli.folder import config_folder
from pgexp.schema.errors import ConfigError, Problem, nearest, unknown
from pgexp.schema.signatures import parameters

_NO_KEY = re.compile(r"Could not override '([^']+)'")
_NO_OPTION = re.compile(r"Could not find '([^']+)'.*?Available options in '[^']*':\s*(.*?)\s*Config search path", re.S)
_CHOICE = re.compile(r"([a-z_]+=[\w-]+)(,.*)?$")


def explained(error: HydraException, arguments: Sequence[str]) -> ConfigError:
    """Return Hydra's error in pgexp's words, with the nearest known name where a name is unknown."""
    text = str(error)
    if found := _NO_OPTION.search(text):
        group, _, option = found[1].rpartition("/")
        options = found[2].split()
        known = f"Known here: {', '.join(options)}."
        return _one(group, f"given {option!r}; there is no such option.{nearest(option, options)} {known}")
    if found := _NO_KEY.search(text):
        return _no_key(found[1], arguments)
    if isinstance(error, OverrideParseException):
        return _one(error.override, "can't be read as key=value; quote special characters, as in 'key=\"a b\"'")
    return _one("config", " ".join(text.split()))


def _no_key(key: str, arguments: Sequence[str]) -> ConfigError:
    given = next((item.partition("=")[2] for item in arguments if item.partition("=")[0] == key), "")
    section, path, names = chosen(arguments, leave_out=key), "", key.split(".")
    while isinstance(section.get(names[0]), DictConfig) and len(names) > 1:
        path += names[0] + "."
        section = section[names.pop(0)]
    if isinstance(section.get(names[0]), DictConfig):
        return _one(key, f"takes keys of your own one by one: add them, as in +{key}.name=value")
    target = section.get("_target_")
    if isinstance(target, str) and names[0] in parameters(target):
        return _one(key, f"is not in the option's YAML, but {target} takes it: add it, with +{key}={given}")
    return ConfigError([unknown(path + names[0], given, (str(name) for name in section if name != "_target_"))])


def chosen(arguments: Sequence[str], leave_out: str = "") -> DictConfig:
    """Compose the options that a command line chooses, of a sweep's the first ones, without the values it sets."""
    own = [arguments[i + 1] for i, item in enumerate(arguments[:-1]) if item in ("--config-dir", "-cd")]
    choices = [
        found[1] for item in arguments if (found := _CHOICE.match(item)) and not item.startswith(f"{leave_out}=")
    ]
    search = [f"hydra.searchpath=[{', '.join(f'file://{folder}' for folder in own)}]"] if own else []
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", overrides=[*search, *choices])


def _one(key: str, text: str) -> ConfigError:
    return ConfigError([Problem(key, text)])
