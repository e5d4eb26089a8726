"""Construction of Gymnasium environments, their wrappers, and messages about missing packages."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import gymnasium as gym
from gymnasium import wrappers
from gymnasium.vector import VectorWrapper

from pgexp.schema.errors import Problem, UserError, nearest

gym.register(
    "pgexp/ShortCorridor-v0",
    "pgexp.envs.compiled.short_corridor:ShortCorridorEnv",
    max_episode_steps=1000,
)


EXTRAS: Final[Mapping[str, str]] = {
    "Box2D": "box2d",
    "mujoco": "mujoco",
    "imageio": "mujoco",
    "ale_py": "atari",
    "cv2": "atari",
}

_ATARI: Final = "ALE/"


def missing_extra(what: str, error: BaseException) -> str | None:
    """Return a message that names the missing extra of pgexp, or None if no extra is missing.

    what: the environment or wrapper that could not be made; error: the exception.
    """
    missing = {name.partition(".")[0] for name in _missing_modules(error)}
    if what.startswith(_ATARI) and find_spec("ale_py") is None:
        missing.add("ale_py")
    for module, extra in EXTRAS.items():
        if module in missing:
            return f"{what} needs {module}. Install the extra: pip install 'pgexp[{extra}]'"
    return None


def _missing_modules(error: BaseException | None) -> Iterator[str]:
    """Yield the modules that were not found, from an error and its causes."""
    while error is not None:
        if isinstance(error, ImportError) and error.name:
            yield error.name
        error = error.__cause__ or error.__context__


Env = gym.Env[Any, Any]

Wrap = Callable[[Env], Env]
"""Returns an environment in a wrapper: ``functools.partial`` of the wrapper's class and its arguments."""

_REFUSED: Final[Mapping[type, str]] = {
    wrappers.NormalizeObservation: "keeps statistics of a single environment between episodes. Set "
    "env.normalize_observations=true to normalize by statistics of the run",
    wrappers.NormalizeReward: "keeps statistics of a single environment between episodes. Set "
    "algorithm.return_scale=std to scale by returns of the run",
    wrappers.Autoreset: "is not supported, because pgexp starts each episode with its seed",
}


def wrapper_name(wrap: Wrap) -> str:
    """Return the name of a wrapper's class."""
    return getattr(_kind(wrap), "__name__", str(wrap))


def _class_problems(wraps: Sequence[Wrap]) -> Iterator[str]:
    """Yield a message for each class that does not wrap a single environment."""
    for wrap in wraps:
        kind = _kind(wrap)
        if isinstance(kind, type) and issubclass(kind, VectorWrapper):
            yield f"must wrap single environments, not vectors (got {wrapper_name(wrap)})"
        elif isinstance(kind, type) and not issubclass(kind, gym.Wrapper):
            yield f"must be subclasses of gymnasium.Wrapper (got {wrapper_name(wrap)})"


def _stateful_wrapper_problems(env: Env) -> Iterator[str]:
    """Yield a message for each wrapper that makes episodes depend on earlier ones."""
    while isinstance(env, gym.Wrapper):
        for kind, reason in _REFUSED.items():
            if isinstance(env, kind):
                yield f"{type(env).__name__} {reason}"
        env = env.env


def _kind(wrap: Wrap) -> Any:
    return wrap.func if isinstance(wrap, partial) else wrap


def make(env_id: str, max_episode_steps: int | None, kwargs: Mapping[str, Any]) -> Env:
    """Return the environment of a Gymnasium id, ``Name-v0`` or ``module:Name-v0``, with its time limit."""
    with _warnings_ignored():
        return gym.make(env_id, max_episode_steps=max_episode_steps, disable_env_checker=True, **kwargs)


def wrap_all(env: Env, wraps: Sequence[Wrap]) -> Env:
    """Return the environment in its wrappers, the last one outermost."""
    for wrap in wraps:
        env = wrap(env)
    return env


def make_checked(env_id: str, max_episode_steps: int | None, kwargs: Mapping[str, Any]) -> Env:
    """Return `make`'s environment. Raises UserError if the id is unknown or the environment cannot be made."""
    try:
        return make(env_id, max_episode_steps, kwargs)
    except Exception as error:  # an environment's constructor may raise anything
        raise UserError([_problem(env_id, error)]) from error


def wrap_checked(env: Env, wraps: Sequence[Wrap]) -> Env:
    """Return `wrap_all`'s environment. Raises UserError if a wrapper fails or is not supported."""
    problems = [Problem("env.wrappers", text) for text in _class_problems(wraps)]
    if not problems:
        for wrap in wraps:
            env = _wrap_once(env, wrap)
        problems = [Problem("env.wrappers", text) for text in _stateful_wrapper_problems(env)]
    if problems:
        raise UserError(problems)
    return env


def _wrap_once(env: Env, wrap: Wrap) -> Env:
    try:
        return wrap(env)
    except Exception as error:
        text = missing_extra(wrapper_name(wrap), error) or f"{wrapper_name(wrap)} cannot wrap {env}: {_reason(error)}"
        raise UserError.at("env.wrappers", text) from error


def _problem(env_id: str, error: Exception) -> Problem:
    extra = missing_extra(env_id, error)
    if extra is not None:
        return Problem("env", extra)
    if isinstance(error, gym.error.UnregisteredEnv):
        reason = _sentence(error).partition(" Did you mean")[0]  # Gymnasium suggests names without versions
        hint = "" if "/" in env_id else nearest(env_id, gym.registry)
        if env_id.startswith(_ATARI):  # its package registers ids on import
            hint = f" Write ale_py:{env_id}."
        return Problem("env.id", f"must be the id of an environment (got {env_id!r}): {reason}{hint}")
    return Problem("env", f"{env_id} cannot be made: {_reason(error)}")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {_sentence(error)}"


def _sentence(error: Exception) -> str:
    return str(error).strip().rstrip(".").replace("\n", " ") + "."


@contextmanager
def _warnings_ignored() -> Iterator[None]:
    """Ignore warnings that users cannot act on: old versions, render modes, and Box2D's bindings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is out of date. You should consider upgrading to version")
        warnings.filterwarnings("ignore", message=".*is not in the possible render_modes")
        warnings.filterwarnings("ignore", message="builtin type .* has no __module__ attribute")
        yield
