"""Builds an option's object: imports its class, and hands it what it takes."""

import importlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from pgexp.schema.config import Option
from pgexp.schema.errors import ConfigError, Problem

Kind = type[Any] | tuple[type[Any], ...]


def build(key: str, option: Option, kind: Kind, **handed: Any) -> Any:
    """Return the option's object, of the kind its group asks for; it is handed what its constructor takes of `handed`.

    Raises ConfigError where the class can't be imported, is of another kind, or refuses its arguments.
    """
    try:
        return _factory(key, option, kind)(**handed)
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(key, f"{option.name} refuses its arguments: {error}")]) from error
    except Exception as error:  # a user's constructor may raise anything
        raise ConfigError([Problem(key, f"{option.name} can't be built: {_told(error)}")]) from error


def _factory(key: str, option: Option, kind: Kind) -> Callable[..., Any]:
    """Return what builds the option; it takes what it may be handed, and passes on what its constructor takes of it."""
    found: Callable[..., Any] = imported(key, option, kind)
    nested = {
        name: _factory(f"{key}.{name}", value, object) for name, value in option.arguments.items()
        if isinstance(value, Option)
    }  # fmt: skip
    return partial(_made, found, {**option.arguments, **nested})


def _made(found: Callable[..., Any], arguments: dict[str, Any], **handed: Any) -> Any:
    taken = inspect.signature(found).parameters
    return found(**{name: value for name, value in handed.items() if name in taken}, **arguments)


def imported(key: str, option: Option, kind: Kind) -> type[Any]:
    """Return the option's class. Raises ConfigError where it can't be imported, or is of another kind."""
    module, _, name = option.target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's module may raise anything
        raise ConfigError([Problem(f"{key}._target_", f"{option.target} can't be imported: {_told(error)}")]) from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(f"{one.__module__}.{one.__name__}" for one in kinds)
        raise ConfigError([Problem(f"{key}._target_", f"{option.target} is no {wanted}; derive it from that class")])
    return found


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
