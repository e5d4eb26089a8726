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
from pgexp.envs.compiled import DYNAMICS, dynamics_class
from pgexp.envs.compiled.dynamics import Dynamics, DynamicsEnv, check
from pgexp.envs.gymnasium_envs import Env, Wrap, make, make_checked, wrap_all, wrap_checked
from pgexp.envs.spaces import Spaces, action_space, observation_dtype, observation_shape, unsupported_parts
from pgexp.envs.workers import WorkerBank
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import Problem, UserError

Vectorization = Literal["auto", "compiled", "sync", "async"]

# Their reset keeps contacts of the last episode in the physics engine, so that an episode depends on more than its
# seed.
_STATEFUL_RESET: Final = frozenset({"BipedalWalker-v3", "BipedalWalkerHardcore-v3"})


@dataclass(frozen=True)
class EnvSpec:
    """Sizes and limits of an environment, and the arguments that make it."""

    id: str
    spaces: Spaces  # Gymnasium's; the next four fields describe them
    observation_shape: tuple[int, ...]  # of a Box; (O,) for other spaces, which are flattened
    observation_size: int  # O
    observation_dtype: Literal["uint8"] | None  # None: the policy's
    action_space: ActionSpace
    max_episode_steps: int | None  # applied inside of the wrappers
    reward_threshold: float | None  # the mean return at which the environment counts as solved
    frames_per_second: float  # of its rendering
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrap] = ()
    vectorization: Vectorization = "auto"
    compiled: Dynamics | None = None  # equal dynamics with kernels
    user_defined: bool = False  # whether `compiled` is a user's, without a Gymnasium id

    @property
    def dynamics(self) -> Dynamics | None:
        """The compiled dynamics to step with; None to step Gymnasium environments. The numbers are the same."""
        return None if self.vectorization in ("sync", "async") else self.compiled

    @property
    def masked(self) -> bool:
        """Whether the environment has masks of allowed actions."""
        return self.compiled is not None and self.compiled.masked

    @property
    def images(self) -> bool:
        """Whether observations are images of bytes."""
        return self.observation_dtype == "uint8"

    def make(self, render_mode: str | None = None) -> Env:
        """Return one Gymnasium environment, with its time limit and its wrappers."""
        if self.user_defined and self.compiled is not None:
            env: Env = DynamicsEnv(self.compiled)
            limit = self.max_episode_steps
            return env if limit is None else gym.wrappers.TimeLimit(env, limit)
        render = {} if render_mode is None else {"render_mode": render_mode}
        return wrap_all(make(self.id, self.max_episode_steps, {**render, **self.kwargs}), self.wrappers)

    def video_bank(self) -> GymnasiumBank:
        """Return a bank whose environments render images, without a screen."""
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        return self._gymnasium_bank("rgb_array")

    def window_bank(self) -> GymnasiumBank:
        """Return a bank whose environments are shown in a window."""
        return self._gymnasium_bank("human")

    def bank(self, count: int) -> Bank:
        """Return a bank of Gymnasium environments, in this process or in worker processes."""
        if self.vectorization == "async":
            return WorkerBank(self._gymnasium_bank, min(count, os.cpu_count() or 1))
        return self._gymnasium_bank()

    def _gymnasium_bank(self, render_mode: str | None = None) -> GymnasiumBank:
        return GymnasiumBank(partial(self.make, render_mode), self.spaces, self.id in _STATEFUL_RESET, self.masked)


def inspect_dynamics(
    dynamics: Dynamics, name: str, max_episode_steps: int | None, vectorization: Vectorization
) -> EnvSpec:
    """Return the spec of a user's dynamics. Raises UserError if its functions contain a mistake."""
    try:
        check(dynamics)
    except ValueError as error:
        raise UserError.at("env.dynamics", str(error)) from error
    env = DynamicsEnv(dynamics)
    return EnvSpec(
        id=name,
        spaces=Spaces(env.observation_space, env.action_space),
        **_space_fields(name, env),
        max_episode_steps=max_episode_steps or dynamics.max_episode_steps,
        reward_threshold=dynamics.reward_threshold,
        frames_per_second=env.metadata.get("render_fps", 30),
        vectorization=vectorization,
        compiled=dynamics,
        user_defined=True,
    )


def inspect(
    id: str,  # noqa: A002 - Gymnasium's word
    max_episode_steps: int | None = None,
    kwargs: Mapping[str, Any] = MappingProxyType({}),
    wrappers: Sequence[Wrap] = (),
    vectorization: Vectorization = "auto",
) -> EnvSpec:
    """Return the spec of a Gymnasium id, ``Name-v0`` or ``module:Name-v0``.

    Raises UserError if the id is unknown, cannot be made or wrapped, has spaces that no policy of pgexp can act in,
    or has no compiled dynamics although `vectorization` asks for them.
    """
    env = bare = make_checked(id, max_episode_steps, kwargs)
    try:
        env = wrap_checked(bare, wrappers)
        spec = EnvSpec(
            id=bare.spec.id if bare.spec and ":" not in id else id,  # with its version if the id did not name one
            spaces=Spaces(env.observation_space, env.action_space),
            **_space_fields(id, env),
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
        raise UserError.at("env.vectorization", _not_compiled(spec))
    if vectorization == "async" and ":" not in id and not _is_registered(bare):
        text = f"worker processes cannot import the module that registers {id} (got async). Write env.id=module:{id}"
        raise UserError.at("env.vectorization", text)
    return spec


def _space_fields(env_id: str, env: Env) -> dict[str, Any]:
    """Return the spec's fields that describe the spaces. Raises UserError if a space is not supported."""
    observation, acting = env.observation_space, action_space(env.action_space)
    problems = [
        Problem("env.id", f"observations of {env_id} must be Box, Discrete, MultiDiscrete or MultiBinary, or Tuple or "
                f"Dict of these (got {part})")
        for part in unsupported_parts(observation)
    ]  # fmt: skip
    if acting is None:
        text = f"actions of {env_id} must be Discrete, MultiDiscrete, MultiBinary or real Box"
        problems.append(Problem("env.id", f"{text} (got {env.action_space})"))
    if problems:
        raise UserError(problems)
    return {
        "observation_shape": observation_shape(observation),
        "observation_size": gym.spaces.flatdim(observation),
        "observation_dtype": observation_dtype(observation),
        "action_space": acting,
    }


def _is_registered(env: Env) -> bool:
    """Whether the id is registered in any process that imports this module: by Gymnasium or pgexp."""
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
