"""Wrappers of environments, and those that are refused."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import gymnasium as gym
from gymnasium import wrappers
from gymnasium.vector import VectorWrapper

Wrap = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]
"""Puts a wrapper around an environment: ``functools.partial`` of a wrapper's class and its arguments."""

_REFUSED: Final[Mapping[type, str]] = {
    wrappers.NormalizeObservation: "keeps statistics of its own environment from episode to episode; "
    "env.normalize_observations=true normalises by those of the whole run",
    wrappers.NormalizeReward: "keeps statistics of its own environment from episode to episode; "
    "algorithm.return_scale=std scales returns by those of the whole run",
    wrappers.Autoreset: "starts episodes by itself; pgexp starts each of them, with a seed of its own",
}


def named(wrap: Wrap) -> str:
    """Return the name of a wrapper's class."""
    return getattr(_kind(wrap), "__name__", str(wrap))


def objections(wraps: Sequence[Wrap]) -> Iterator[str]:
    """Yield a sentence for each that is no wrapper of a single environment."""
    for wrap in wraps:
        kind = _kind(wrap)
        if isinstance(kind, type) and issubclass(kind, VectorWrapper):
            yield f"{named(wrap)} wraps a vector of environments; name one that wraps a single environment"
        elif isinstance(kind, type) and not issubclass(kind, gym.Wrapper):
            yield f"{named(wrap)} is no gymnasium.Wrapper; derive it from that class"


def objections_within(env: gym.Env[Any, Any]) -> Iterator[str]:
    """Yield a sentence for each wrapper through which an environment's episodes depend on those before."""
    while isinstance(env, gym.Wrapper):
        for kind, reason in _REFUSED.items():
            if isinstance(env, kind):
                yield f"{type(env).__name__} {reason}"
        env = env.env


def _kind(wrap: Wrap) -> Any:
    return wrap.func if isinstance(wrap, partial) else wrap
