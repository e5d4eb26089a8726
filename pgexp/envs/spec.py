"""Environment specification: sizes, spaces, limits, and how environments are made."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any, Final, Literal

import gymnasium as gym

from pgexp.envs.bank import Bank, GymnasiumBank
from pgexp.envs.compiled.dynamics import Dynamics, check
from pgexp.envs.compiled.gymnasium_env import DynamicsEnv
from pgexp.envs.compiled.registry import DYNAMICS, dynamics_class
from pgexp.envs.making import Env, made, made_wrapped, make, wrapped
from pgexp.envs.spaces import Spaces, action_space, observation_dtype, observation_shape, unread
from pgexp.envs.workers import WorkerBank
from pgexp.envs.wrappers import Wrap
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import ConfigError, Problem

Vectorization = Literal["auto", "compiled", "sync", "async"]

# Their reset leaves contacts of the last episode in the physics' world: an episode depends on more than its seed.
_IMPURE: Final = frozenset({"BipedalWalker-v3", "BipedalWalkerHardcore-v3"})


@dataclass(frozen=True)
class EnvSpec:
    """An environment's sizes and limits, and how it is made."""

    id: str
    spaces: Spaces  # Gymnasium's; the next four describe them in plain numbers
    observation_shape: tuple[int, ...]  # a Box's own; (O,) for other spaces, which are flattened
    observation_size: int  # O
    observation_dtype: Literal["uint8"] | None  # None: the policy's
    action_space: ActionSpace
    max_episode_steps: int | None  # counted inside of the wrappers
    reward_threshold: float | None  # the mean return at which the environment counts as solved
    frames_per_second: float  # of its pictures
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrap] = ()
    vectorization: Vectorization = "auto"
    compiled: Dynamics | None = None  # dynamics that equal it
    own: bool = False  # whether these are a user's own, which no Gymnasium id has

    @property
    def dynamics(self) -> Dynamics | None:
        """The compiled dynamics to step with; None to step Gymnasium environments. The numbers are the same."""
        return None if self.vectorization in ("sync", "async") else self.compiled

    @property
    def masked(self) -> bool:
        """Whether the environment gives masks of allowed actions."""
        return self.compiled is not None and self.compiled.masked

    @property
    def pictures(self) -> bool:
        """Whether observations are pictures of bytes."""
        return self.observation_dtype == "uint8"

    def make(self, render_mode: str | None = None) -> Env:
        """Return one Gymnasium environment, with its time limit and its wrappers."""
        if self.own and self.compiled is not None:
            return _made_of(self.compiled, self.max_episode_steps)
        render = {} if render_mode is None else {"render_mode": render_mode}
        return wrapped(make(self.id, self.max_episode_steps, {**render, **self.kwargs}), self.wrappers)

    def filmed(self) -> GymnasiumBank:
        """Return a bank whose environments can be drawn, without a screen."""
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        return self._gymnasium("rgb_array")

    def shown(self) -> GymnasiumBank:
        """Return a bank whose environments show themselves in a window."""
        return self._gymnasium("human")

    def bank(self, count: int) -> Bank:
        """Return a bank of Gymnasium environments, in this process or in worker processes."""
        if self.vectorization == "async":
            return WorkerBank(self._gymnasium, min(count, os.cpu_count() or 1))
        return self._gymnasium()

    def _gymnasium(self, render_mode: str | None = None) -> GymnasiumBank:
        return GymnasiumBank(partial(self.make, render_mode), self.spaces, self.id in _IMPURE, self.masked)


def _made_of(dynamics: Dynamics, max_episode_steps: int | None) -> Env:
    env: Env = DynamicsEnv(dynamics)
    return env if max_episode_steps is None else gym.wrappers.TimeLimit(env, max_episode_steps)


def inspect_dynamics(
    dynamics: Dynamics, name: str, max_episode_steps: int | None, vectorization: Vectorization
) -> EnvSpec:
    """Return the spec of a user's own dynamics. Raises ConfigError if its functions contain a mistake."""
    try:
        check(dynamics)
    except ValueError as error:
        raise ConfigError([Problem("env.dynamics", str(error))]) from error
    env = DynamicsEnv(dynamics)
    return EnvSpec(
        id=name,
        spaces=Spaces(env.observation_space, env.action_space),
        **_in_numbers(name, env),
        max_episode_steps=max_episode_steps or dynamics.max_episode_steps,
        reward_threshold=dynamics.reward_threshold,
        frames_per_second=env.metadata.get("render_fps", 30),
        vectorization=vectorization,
        compiled=dynamics,
        own=True,
    )


def inspect(
    id: str,  # noqa: A002 - Gymnasium's word
    max_episode_steps: int | None = None,
    kwargs: Mapping[str, Any] = MappingProxyType({}),
    wrappers: Sequence[Wrap] = (),
    vectorization: Vectorization = "auto",
) -> EnvSpec:
    """Return the spec of a Gymnasium id, ``Name-v0`` or ``module:Name-v0``.

    Raises ConfigError if the id is unknown, cannot be made or wrapped, has spaces that no policy of pgexp can act in,
    or has no compiled dynamics although `vectorization` asks for them.
    """
    env = bare = made(id, max_episode_steps, kwargs)
    try:
        env = made_wrapped(bare, wrappers)
        spec = EnvSpec(
            id=bare.spec.id if bare.spec and ":" not in id else id,  # with its version if the id did not name one
            spaces=Spaces(env.observation_space, env.action_space),
            **_in_numbers(id, env),
            max_episode_steps=bare.spec.max_episode_steps if bare.spec else max_episode_steps,
            reward_threshold=bare.spec.reward_threshold if bare.spec else None,
            frames_per_second=env.metadata.get("render_fps", 30),
            kwargs=dict(kwargs),
            wrappers=tuple(wrappers),
            vectorization=vectorization,
            compiled=_compiled(bare, kwargs) if not wrappers else None,
        )
    finally:
        env.close()
    if vectorization == "compiled" and spec.compiled is None:
        raise ConfigError([Problem("env.vectorization", _not_compiled(spec))])
    if vectorization == "async" and ":" not in id and not _known(bare):
        text = f"worker processes cannot import the module that registers {id} (got async). Write env.id=module:{id}"
        raise ConfigError([Problem("env.vectorization", text)])
    return spec


def _in_numbers(env_id: str, env: Env) -> dict[str, Any]:
    """Return the spec's fields about the spaces. Raises ConfigError if a space is not supported."""
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
    """Whether a process that imports this module knows the id: Gymnasium's own, or one that comes with pgexp."""
    return env.spec is not None and str(env.spec.entry_point).startswith(("gymnasium.envs.", "pgexp.envs."))


def _compiled(env: Env, kwargs: Mapping[str, Any]) -> Dynamics | None:
    """Return the compiled dynamics that equal a Gymnasium environment, or None."""
    if env.spec is None or env.spec.id not in DYNAMICS:
        return None
    kind = dynamics_class(env.spec.id)
    return kind(**kwargs) if kwargs.keys() <= signature(kind).parameters.keys() else None


def _not_compiled(spec: EnvSpec) -> str:
    if spec.id in DYNAMICS:
        return (
            f"compiled dynamics of {spec.id} take neither these env.kwargs nor env.wrappers (got compiled). Set auto."
        )
    return f"must be auto, sync or async for {spec.id} (got compiled). Compiled are {', '.join(DYNAMICS)}."
