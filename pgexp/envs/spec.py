"""Finds out what an environment is, and makes slots of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from pgexp.envs.dynamics import DYNAMICS
from pgexp.envs.slots import ArraySlots, GymnasiumSlots, Slots
from pgexp.schema.errors import ConfigError, Problem, nearest


@dataclass(frozen=True)
class EnvSpec:
    """An environment's sizes and limits, and what it takes to make it."""

    id: str
    observation_size: int
    action_count: int
    first_action: int
    max_episode_steps: int | None
    reward_threshold: float | None  # the mean return at which the environment counts as solved
    frames_per_second: float  # of its pictures
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def make(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Return one Gymnasium environment, with its time limit."""
        render = {} if render_mode is None else {"render_mode": render_mode}
        return gym.make(
            self.id,
            max_episode_steps=self.max_episode_steps,
            disable_env_checker=True,
            **render,
            **self.kwargs,
        )

    def filmed(self) -> GymnasiumSlots:
        """Return slots whose environments can be pictured, without a screen."""
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        return GymnasiumSlots(partial(self.make, "rgb_array"), self.observation_size)

    def slots(self, count: int) -> Slots:
        """Return a bank of `count` slots: of array dynamics where there are some, else of Gymnasium environments."""
        if self.id in DYNAMICS and not self.kwargs and self.max_episode_steps is not None:
            return ArraySlots(DYNAMICS[self.id](), count, self.max_episode_steps)
        return GymnasiumSlots(self.make, self.observation_size)


def inspect(id: str, max_episode_steps: int | None, kwargs: Mapping[str, Any]) -> EnvSpec:  # noqa: A002 - Gymnasium's word
    """Return the spec of a Gymnasium id, ``Name-v0`` or ``module:Name-v0``.

    Raises ConfigError where the id is unknown, can't be made, or has spaces that no policy here can act in.
    """
    try:
        env = gym.make(id, max_episode_steps=max_episode_steps, disable_env_checker=True, **kwargs)
    except gym.error.UnregisteredEnv as error:
        told = _sentence(error).partition(" Did you mean")[0]  # which knows no versions
        hint = "" if "/" in id else nearest(id, gym.registry)
        raise ConfigError([Problem("env.id", f"given {id!r}; {told}{hint}")]) from None
    except Exception as error:  # an environment's constructor may raise anything
        reason = f"{type(error).__name__}: {_sentence(error)}"
        raise ConfigError([Problem("env", f"{id} can't be made: {reason}")]) from error
    try:
        observation, action = _supported(id, env)
        return EnvSpec(
            id=env.spec.id if env.spec and ":" not in id else id,  # with its version where the id left that open
            observation_size=int(np.prod(observation.shape)),
            action_count=int(action.n),
            first_action=int(action.start),
            max_episode_steps=env.spec.max_episode_steps if env.spec else max_episode_steps,
            reward_threshold=env.spec.reward_threshold if env.spec else None,
            frames_per_second=env.metadata.get("render_fps", 30),
            kwargs=kwargs,
        )
    finally:
        env.close()


def _supported(env_id: str, env: gym.Env[Any, Any]) -> tuple[gym.spaces.Box, gym.spaces.Discrete]:
    observation, action = env.observation_space, env.action_space
    if not isinstance(observation, gym.spaces.Box):
        raise ConfigError([Problem("env.id", f"{env_id} observes {observation}; pgexp reads Box observations")])
    if not isinstance(action, gym.spaces.Discrete):
        raise ConfigError([Problem("env.id", f"{env_id} acts in {action}; pgexp acts in Discrete spaces")])
    return observation, action


def _sentence(error: Exception) -> str:
    return str(error).strip().rstrip(".").replace("\n", " ") + "."
