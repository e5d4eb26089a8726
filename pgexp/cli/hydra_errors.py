"""Translation of Hydra's errors into users' mistakes with their keys, and the nearest known names."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import pgexp
from pgexp.cli.compose import config_folder
from pgexp.schema.errors import UserError, nearest, unknown_key
from pgexp.schema.signatures import parameters

DEBUG_VARIABLE = "PGEXP_DEBUG"  # if it is set, tracebacks of Hydra's errors are printed

_PACKAGES = ("hydra", "omegaconf", "antlr4", "yaml")
_KEY = re.compile(r"full_key: (\S+)")
_NO_KEY = re.compile(r"is not in struct")
_NO_HYDRA_KEY = re.compile(r"is not in struct|not in '\w+'")
_NO_OPTION = re.compile(r"Could not find '([^']+)'.*?Available options in '[^']*':\s*(.*?)\s*Config search path", re.S)
_NO_NAME = re.compile(r"Config group override must be a string")
_AMBIGUOUS = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '([^'=]+)=([^']*)'")
_CHOICE = re.compile(r"([a-z_]+)=([\w-]+(?:,[\w-]+)*)$")


def translate(error: Exception, arguments: Sequence[str]) -> UserError | None:
    """Return an error of a composition as a user's mistake, or None if it is an I/O error or a bug of pgexp.

    Args:
        error: the exception of Hydra, or of pgexp as called by Hydra.
        arguments: the arguments of the command.
    """
    if isinstance(error, UserError):
        return error
    text = "\n".join(str(part) for part in (error, error.__cause__) if part is not None)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _unreadable_config(arguments)
    if not _is_from_hydra(error):
        return None
    if found := _NO_OPTION.search(text):
        group, _, option = found[1].rpartition("/")
        options = found[2].split()
        hint = f"{nearest(option, options)} Known options: {', '.join(options)}."
        return UserError.at(group, f"unknown option (got {option!r}).{hint}")
    if (found := _KEY.search(text)) and found[1].startswith("hydra.") and _NO_HYDRA_KEY.search(text):
        hint = f"List the keys with pgexp --cfg hydra, or add a new one with +{found[1]}=..."
        return UserError.at(found[1], f"unknown key. {hint}")
    if (found := _KEY.search(text)) and _NO_KEY.search(text):
        with suppress(HydraException, OmegaConfBaseException):  # the options alone have an error, too
            return _unknown_key_error(found[1], arguments)
    if found := _AMBIGUOUS.search(text):
        return UserError.at(found[1], f"must be one value (got {found[2]}). For a sweep add -m, for one value quote it")
    if _NO_NAME.search(text):
        return _option_name_error(arguments)
    if (unreadable := _unreadable_config(arguments)) is not None:
        return unreadable
    if isinstance(error, RecursionError):
        return UserError.at("config", "is nested too deeply, or contains itself")
    if isinstance(error, OverrideParseException):
        return UserError.at(error.override, "must have the form key=value. Quote special characters: 'key=\"a b\"'")
    if found := _KEY.search(text):
        return UserError.at(found[1], " ".join(text[: found.start()].split()))
    if isinstance(error, HydraException | OmegaConfBaseException | YAMLError | ValueError):
        return UserError.at("config", " ".join(text.split()))
    reason = " ".join([type(error).__name__, *text.split()])
    hint = f"Set {DEBUG_VARIABLE}=1 to print the traceback"
    return UserError.at("config", f"Hydra cannot compose {' '.join(arguments)} ({reason}). {hint}")


def _is_from_hydra(error: Exception) -> bool:
    """Return whether Hydra or a library that it uses raised an exception, rather than pgexp.

    The last call decides that belongs to one of these packages.
    """
    if isinstance(error, HydraException | OmegaConfBaseException | YAMLError | RecursionError):
        return True
    own = Path(pgexp.__file__).parent
    for frame, _ in reversed([*walk_tb(error.__traceback__)]):
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(own):
            return False
        if set(_PACKAGES) & set(file.parts):
            return True
    return False


def is_debugging() -> bool:
    """Return whether tracebacks of Hydra's errors are printed."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def _unreadable_config(arguments: Sequence[str]) -> UserError | None:
    """Return the error of a user's config file that cannot be read, if there is one. Hydra's error may not name it."""
    choices = [found for item in arguments if (found := _CHOICE.match(item))]
    for folder in _config_dirs(arguments):
        for path in (Path(folder, found[1], f"{option}.yaml") for found in choices for option in found[2].split(",")):
            try:
                if path.exists():
                    OmegaConf.load(path)
            except OSError as error:
                return UserError.at(str(path), error.strerror or str(error))
            except (YAMLError, OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
                return UserError.at(str(path), " ".join(str(error).split()))
    return None


def _option_name_error(arguments: Sequence[str]) -> UserError:
    for key, _, value in (item.partition("=") for item in arguments):
        names = sorted(path.stem for path in (config_folder() / key).glob("*.yaml"))
        if names and value not in names:
            return UserError.at(key, f"must be the name of an option (got {value}). Known options: {', '.join(names)}.")
    return UserError.at("config", "the name of an option must be a string")


def _unknown_key_error(key: str, arguments: Sequence[str]) -> UserError:
    value = _argument_value(key, arguments)
    group = key.partition(".")[0]
    for config in _composed_options(group, arguments):
        section, path, names = config, "", key.split(".")
        while isinstance(section.get(names[0]), DictConfig) and len(names) > 1:
            path += names[0] + "."
            section = section[names.pop(0)]
        if names[0] in section:
            continue  # another of the swept options lacks the key
        target = section.get("_target_")
        if isinstance(target, str) and names[0] in parameters(target):
            return UserError.at(key, f"is not in the YAML file of {target}. Add it with +{key}={value}")
        if path and not section:
            return UserError.at(key, f"is a new key. Add it with +{key}=...")
        is_swept = any(item.startswith(f"{group}=") and "," in item for item in arguments)
        shown = f"{value} for {target}" if isinstance(target, str) and is_swept else value
        known = (str(name) for name in section if name != "_target_")
        return UserError([unknown_key(path + names[0], shown, known)])
    return UserError.at(key, f"unknown key (got {value!r})")


def _argument_value(key: str, arguments: Sequence[str]) -> str:
    """Return the value of the argument that sets the key, or the nearest section that contains it."""
    values = {name.lstrip("+"): value for name, _, value in (item.partition("=") for item in arguments)}
    matching = [name for name in values if key == name or key.startswith(f"{name}.")]
    return values[max(matching, key=len)] if matching else ""


def _composed_options(group: str, arguments: Sequence[str]) -> Iterator[DictConfig]:
    """Yield the config of each option of a group that the arguments choose or sweep."""
    swept = [found[2] for item in arguments if (found := _CHOICE.match(item)) and found[1] == group]
    for option in swept[-1].split(",") if swept else [""]:
        yield compose_options(
            [item for item in arguments if item.partition("=")[0] != group or not option], group, option
        )


def compose_options(arguments: Sequence[str], group: str = "", option: str = "") -> DictConfig:
    """Return the config of the options that the arguments choose, without the values that they set.

    If an argument sweeps over options, the first one is used. group, option: another choice for one group.
    """
    own = list(_config_dirs(arguments))
    groups = {path.name for folder in (config_folder(), *map(Path, own)) for path in folder.glob("*") if path.is_dir()}
    choices = [found for item in arguments if (found := _CHOICE.match(item)) and found[1] in groups]
    overrides = [f"{found[1]}={found[2].partition(',')[0]}" for found in choices]
    overrides += [f"{group}={option}"] if option and group in groups else []
    search = [f"hydra.searchpath=[{', '.join(f'file://{Path(folder).absolute()}' for folder in own)}]"] if own else []
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", overrides=[*search, *overrides])


def _config_dirs(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the values of --config-dir."""
    remaining = iter(arguments)
    for item in remaining:
        flag, _, value = item.partition("=")
        if flag in ("--config-dir", "-cd"):
            yield value or next(remaining, "")
