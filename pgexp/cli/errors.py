"""Tells a mistake in a command line as pgexp tells all mistakes: the key, what was given, what is allowed."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pgexp.cli.folder import config_folder
from pgexp.cli.keep import last_claimed
from pgexp.cli.telling import told
from pgexp.schema.errors import ConfigError, Problem, nearest, unknown
from pgexp.schema.signatures import parameters

_KEY = re.compile(r"full_key: (\S+)")
_NO_KEY = re.compile(r"is not in struct")
_NO_HYDRA_KEY = re.compile(r"is not in struct|not in '\w+'")
_NO_OPTION = re.compile(r"Could not find '([^']+)'.*?Available options in '[^']*':\s*(.*?)\s*Config search path", re.S)
_NO_NAME = re.compile(r"Config group override must be a string")
_AMBIGUOUS = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '([^'=]+)=([^']*)'")
_CHOICE = re.compile(r"([a-z_]+)=([\w-]+(?:,[\w-]+)*)$")


def explained(error: Exception, arguments: Sequence[str]) -> ConfigError:
    """Return an error of composing in pgexp's words, with the nearest known name where a name is unknown."""
    if isinstance(error, ConfigError):
        return error
    text = "\n".join(str(part) for part in (error, error.__cause__) if part is not None)
    if found := _NO_OPTION.search(text):
        group, _, option = found[1].rpartition("/")
        options = found[2].split()
        known = f"Known here: {', '.join(options)}."
        return _one(group, f"given {option!r}; there is no such option.{nearest(option, options)} {known}")
    if (found := _KEY.search(text)) and found[1].startswith("hydra.") and _NO_HYDRA_KEY.search(text):
        added = f"where Hydra takes any, one is added with +{found[1]}=..."
        return _one(found[1], f"unknown key; pgexp --cfg hydra shows those that there are, and {added}")
    if (found := _KEY.search(text)) and _NO_KEY.search(text):
        with suppress(Exception):  # what is composed to tell of it is wrong in another way, too
            return _no_key(found[1], arguments)
    if found := _AMBIGUOUS.search(text):
        return _one(found[1], f"given {found[2]}; several values are a sweep: add -m, or quote them to mean one")
    if _NO_NAME.search(text):
        return _no_name(arguments)
    for problem in _unreadable(arguments):
        return ConfigError([problem])
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _one("files" if error.filename else str(last_claimed() or "files"), told(error))
    if isinstance(error, RecursionError):
        return _one("config", "is nested too deeply, or within itself")
    if isinstance(error, OverrideParseException):
        return _one(error.override, "can't be read as key=value; quote special characters, as in 'key=\"a b\"'")
    if found := _KEY.search(text):
        return _one(found[1], " ".join(text[: found.start()].split()))
    if isinstance(error, HydraException | OmegaConfBaseException | YAMLError | ValueError):
        return _one("config", " ".join(text.split()))
    reason = " ".join([type(error).__name__, *text.split()])
    return _one("config", f"can't be made of {' '.join(arguments)} ({reason})")


def _unreadable(arguments: Sequence[str]) -> Iterator[Problem]:
    """Yield what is wrong with the user's own config files that a command line chooses: an error may not name them."""
    chosen = [found for item in arguments if (found := _CHOICE.match(item))]
    for folder in _config_folders(arguments):
        for path in (Path(folder, found[1], f"{option}.yaml") for found in chosen for option in found[2].split(",")):
            try:
                if path.exists():
                    OmegaConf.load(path)
            except OSError as error:
                yield Problem(str(path), error.strerror or str(error))
            except Exception as error:
                yield Problem(str(path), " ".join(str(error).split()))


def _no_name(arguments: Sequence[str]) -> ConfigError:
    for key, _, given in (item.partition("=") for item in arguments):
        names = sorted(path.stem for path in (config_folder() / key).glob("*.yaml"))
        if names and given not in names:
            return _one(key, f"given {given}; must be the name of an option. Known here: {', '.join(names)}.")
    return _one("config", "an option's name must be a text")


def _no_key(key: str, arguments: Sequence[str]) -> ConfigError:
    given = _given(key, arguments)
    for config in _composed(key.partition(".")[0], arguments):
        section, path, names = config, "", key.split(".")
        while isinstance(section.get(names[0]), DictConfig) and len(names) > 1:
            path += names[0] + "."
            section = section[names.pop(0)]
        if names[0] in section:
            continue  # it is another of the swept options that lacks the key
        target = section.get("_target_")
        if isinstance(target, str) and names[0] in parameters(target):
            return _one(key, f"is not in the option's YAML, but {target} takes it: add it, with +{key}={given}")
        if path and not section:
            return _one(key, f"is a key of your own there: add it, with +{key}=...")
        where = f"{given} for {target}" if isinstance(target, str) and _is_swept(key, arguments) else given
        return ConfigError([unknown(path + names[0], where, (str(name) for name in section if name != "_target_"))])
    return _one(key, f"unknown key (given {given!r})")


def _given(key: str, arguments: Sequence[str]) -> str:
    """Return what the argument gives that sets the key, or the nearest section that it is in."""
    asked = {name.lstrip("+"): value for name, _, value in (item.partition("=") for item in arguments)}
    setting = [name for name in asked if key == name or key.startswith(f"{name}.")]
    return asked[max(setting, key=len)] if setting else ""


def _is_swept(key: str, arguments: Sequence[str]) -> bool:
    return any(item.startswith(f"{key.partition('.')[0]}=") and "," in item for item in arguments)


def _composed(group: str, arguments: Sequence[str]) -> Iterator[DictConfig]:
    """Yield the config of each option of a group that a command line chooses: one, or those that it sweeps."""
    swept = [found[2] for item in arguments if (found := _CHOICE.match(item)) and found[1] == group]
    for option in swept[-1].split(",") if swept else [""]:
        yield chosen([item for item in arguments if item.partition("=")[0] != group or not option], group, option)


def chosen(arguments: Sequence[str], group: str = "", option: str = "") -> DictConfig:
    """Compose the options that a command line chooses, of a sweep's the first ones, without the values it sets.

    Of one group another option may be chosen instead.
    """
    own = list(_config_folders(arguments))
    known = {path.name for folder in (config_folder(), *map(Path, own)) for path in folder.glob("*") if path.is_dir()}
    choices = [found for item in arguments if (found := _CHOICE.match(item)) and found[1] in known]
    overrides = [f"{found[1]}={found[2].partition(',')[0]}" for found in choices]
    overrides += [f"{group}={option}"] if option and group in known else []
    search = [f"hydra.searchpath=[{', '.join(f'file://{Path(folder).absolute()}' for folder in own)}]"] if own else []
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", overrides=[*search, *overrides])


def _config_folders(arguments: Sequence[str]) -> Iterator[str]:
    following = iter(arguments)
    for item in following:
        flag, _, value = item.partition("=")
        if flag in ("--config-dir", "-cd"):
            yield value or next(following, "")


def _one(key: str, text: str) -> ConfigError:
    return ConfigError([Problem(key, text)])
