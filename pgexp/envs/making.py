"""Makes one Gymnasium environment, and tells in a sentence why it can't be made."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium as gym

import pgexp.envs.registration  # noqa: F401 - for what it registers
from pgexp.envs.extras import lacking, unregistered
from pgexp.envs.wrappers import Wrap, named, objections, objections_within
from pgexp.schema.errors import ConfigError, Problem, nearest

Env = gym.Env[Any, Any]


def make(env_id: str, max_episode_steps: int | None, kwargs: Mapping[str, Any]) -> Env:
    """Return an environment of a Gymnasium id, ``Name-v0`` or ``module:Name-v0``, with its time limit."""
    with _quiet():
        return gym.make(env_id, max_episode_steps=max_episode_steps, disable_env_checker=True, **kwargs)


def wrapped(env: Env, wraps: Sequence[Wrap]) -> Env:
    """Return the environment within its wrappers, the last of them outermost."""
    for wrap in wraps:
        env = wrap(env)
    return env


def made(env_id: str, max_episode_steps: int | None, kwargs: Mapping[str, Any]) -> Env:
    """Return what `make` does. Raises ConfigError where the id is unknown or the environment can't be made."""
    try:
        return make(env_id, max_episode_steps, kwargs)
    except Exception as error:  # an environment's constructor may raise anything
        raise ConfigError([_problem(env_id, error)]) from error


def made_wrapped(env: Env, wraps: Sequence[Wrap]) -> Env:
    """Return what `wrapped` does. Raises ConfigError where a wrapper refuses the environment or can't stand here."""
    problems = [Problem("env.wrappers", text) for text in objections(wraps)]
    if not problems:
        for wrap in wraps:
            env = _wrapped_once(env, wrap)
        problems = [Problem("env.wrappers", text) for text in objections_within(env)]
    if problems:
        raise ConfigError(problems)
    return env


def _wrapped_once(env: Env, wrap: Wrap) -> Env:
    try:
        return wrap(env)
    except Exception as error:
        text = lacking(named(wrap), error) or f"{named(wrap)} can't wrap {env}: {_reason(error)}"
        raise ConfigError([Problem("env.wrappers", text)]) from error


def _problem(env_id: str, error: Exception) -> Problem:
    extra = lacking(env_id, error)
    if extra is not None:
        return Problem("env", extra)
    if isinstance(error, gym.error.UnregisteredEnv):
        told = _sentence(error).partition(" Did you mean")[0]  # which knows no versions
        hint = unregistered(env_id) or ("" if "/" in env_id else nearest(env_id, gym.registry))
        return Problem("env.id", f"given {env_id!r}; {told}{hint}")
    return Problem("env", f"{env_id} can't be made: {_reason(error)}")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {_sentence(error)}"


def _sentence(error: Exception) -> str:
    return str(error).strip().rstrip(".").replace("\n", " ") + "."


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep quiet what nobody can act on, or is told in a sentence of ours.

    An older version is chosen on purpose; Box2D's bindings are old; what has no pictures is refused a film.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is out of date. You should consider upgrading to version")
        warnings.filterwarnings("ignore", message=".*is not in the possible render_modes")
        warnings.filterwarnings("ignore", message="builtin type .* has no __module__ attribute")
        yield
