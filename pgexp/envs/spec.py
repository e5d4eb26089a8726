"""Finds out what an environment is, and makes slots of it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Literal

import gymnasium as gym

from pgexp.envs.dynamics.registry import DYNAMICS
from pgexp.envs.making import Env, made, made_wrapped, make, wrapped
from pgexp.envs.slots import ArraySlots, GymnasiumSlots, Slots
from pgexp.envs.spaces import Spaces, action_space, observation_dtype, observation_shape, unread
from pgexp.envs.workers import WorkerSlots
from pgexp.envs.wrappers import Wrap
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import ConfigError, Problem

Vectorization = Literal["auto", "native", "sync", "async"]

# Their reset leaves contacts of the last episode in the physics' world, so that an episode is not its seed's alone.
_KEPT: Final = frozenset({"BipedalWalker-v3", "BipedalWalkerHardcore-v3"})


@dataclass(frozen=True)
class EnvSpec:
    """An environment's sizes and limits, and what it takes to make it."""

    id: str
    spaces: Spaces  # in Gymnasium's terms; the next four tell them in plain numbers
    observation_shape: tuple[int, ...]  # a Box's own; (O,) of what is laid flat from other spaces
    observation_size: int  # O
    observation_dtype: Literal["uint8"] | None  # None: the policy's
    action_space: ActionSpace
    max_episode_steps: int | None  # counted inside of the wrappers
    reward_threshold: float | None  # the mean return at which the environment counts as solved
    frames_per_second: float  # of its pictures
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrap] = ()
    vectorization: Vectorization = "auto"

    @property
    def native(self) -> bool:
        """Whether array dynamics equal it: they know neither arguments nor wrappers."""
        return self.id in DYNAMICS and not self.kwargs and not self.wrappers

    def make(self, render_mode: str | None = None) -> Env:
        """Return one Gymnasium environment, with its time limit and its wrappers."""
        render = {} if render_mode is None else {"render_mode": render_mode}
        return wrapped(make(self.id, self.max_episode_steps, {**render, **self.kwargs}), self.wrappers)

    def filmed(self) -> GymnasiumSlots:
        """Return slots whose environments can be pictured, without a screen."""
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        return GymnasiumSlots(partial(self.make, "rgb_array"), self.spaces, afresh=self.id in _KEPT)

    def shown(self) -> GymnasiumSlots:
        """Return slots whose environments show themselves in a window."""
        return GymnasiumSlots(partial(self.make, "human"), self.spaces, afresh=self.id in _KEPT)

    def slots(self, count: int) -> Slots:
        """Return a bank of `count` slots. Of which kind it is decides no number."""
        if self.native and self.vectorization in ("auto", "native"):
            assert self.max_episode_steps is not None, self.id
            return ArraySlots(DYNAMICS[self.id](), count, self.max_episode_steps)
        build = partial(GymnasiumSlots, self.make, self.spaces, afresh=self.id in _KEPT)
        if self.vectorization == "async":
            return WorkerSlots(build, min(count, os.cpu_count() or 1))
        return build()


def inspect(
    id: str,  # noqa: A002 - Gymnasium's word
    max_episode_steps: int | None = None,
    kwargs: Mapping[str, Any] = MappingProxyType({}),
    wrappers: Sequence[Wrap] = (),
    vectorization: Vectorization = "auto",
) -> EnvSpec:
    """Return the spec of a Gymnasium id, ``Name-v0`` or ``module:Name-v0``.

    Raises ConfigError where the id is unknown, can't be made or wrapped, has spaces that no policy here can act in, or
    has no array dynamics and is to have them.
    """
    env = bare = made(id, max_episode_steps, kwargs)
    try:
        env = made_wrapped(bare, wrappers)
        spec = EnvSpec(
            id=bare.spec.id if bare.spec and ":" not in id else id,  # with its version where the id left that open
            spaces=Spaces(env.observation_space, env.action_space),
            **_in_numbers(id, env),
            max_episode_steps=bare.spec.max_episode_steps if bare.spec else max_episode_steps,
            reward_threshold=bare.spec.reward_threshold if bare.spec else None,
            frames_per_second=env.metadata.get("render_fps", 30),
            kwargs=dict(kwargs),
            wrappers=tuple(wrappers),
            vectorization=vectorization,
        )
    finally:
        env.close()
    if vectorization == "native" and not spec.native:
        raise ConfigError([Problem("env.vectorization", _not_native(spec))])
    if vectorization == "async" and ":" not in id and not _known(bare):
        text = f"async, but worker processes do not know who registers {id}; write env.id=module:{id}"
        raise ConfigError([Problem("env.vectorization", text)])
    return spec


def _in_numbers(env_id: str, env: Env) -> dict[str, Any]:
    """Return what the spec says of the spaces in plain numbers. Raises ConfigError where that can't be."""
    observation, acting = env.observation_space, action_space(env.action_space)
    problems = [
        Problem("env.id", f"{env_id} observes {part}; pgexp reads Box, Discrete, MultiDiscrete and MultiBinary "
                "observations, and Tuple and Dict of these")
        for part in unread(observation)
    ]  # fmt: skip
    if acting is None:
        text = f"{env_id} acts in {env.action_space}; pgexp acts in Discrete, MultiDiscrete, MultiBinary and real Box"
        problems.append(Problem("env.id", f"{text} spaces"))
    if problems:
        raise ConfigError(problems)
    return {
        "observation_shape": observation_shape(observation),
        "observation_size": gym.spaces.flatdim(observation),
        "observation_dtype": observation_dtype(observation),
        "action_space": acting,
    }


def _known(env: Env) -> bool:
    """Whether a process that imports this module knows its id: one of Gymnasium's, or of those that come with pgexp."""
    return env.spec is not None and str(env.spec.entry_point).startswith(("gymnasium.envs.", "pgexp.envs."))


def _not_native(spec: EnvSpec) -> str:
    if spec.id in DYNAMICS:
        return f"native, but array dynamics of {spec.id} know neither env.kwargs nor env.wrappers; set it to auto"
    return f"native, but {spec.id} has no array dynamics, which {', '.join(DYNAMICS)} have; set it to auto"
