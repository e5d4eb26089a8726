"""A policy as an MLflow model: observations in, actions out. MLflow loads it by `_load_pyfunc`.

What is given is a batch of observations as the environment has them where that is a Box, [B, *shape]; else laid flat
as ``gymnasium.spaces.flatten`` does, [B, O]. What is returned are actions as the environment takes them, [B, *shape].

A policy with a memory is given both by name, ``observations`` and ``memory`` [B, Z], and returns ``actions`` and the
next ``memory``; an episode begins with zeros. Masks of allowed actions are not part of the model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgexp.execution.policies import TrainedPolicy, load_policy
from pgexp.schema.streams import generator


class ServedPolicy:
    """A policy that answers a batch of observations with actions."""

    def __init__(self, trained: TrainedPolicy) -> None:
        self._trained = trained

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return actions for observations, and the next memory where the policy has one.

        params: `greedy`, true unless told otherwise, takes the most probable actions; else they are sampled, with draws
        from the stream (seed, "serve"), or with others at each call where there is no `seed`.
        """
        described, policy = self._trained.description, self._trained.policy
        named = isinstance(model_input, Mapping)
        given = model_input["observations"] if named else model_input
        observations = self._observations(np.asarray(given))
        memory = torch.zeros(len(observations), described.memory_size, dtype=policy.dtype)
        if named:
            memory = torch.from_numpy(np.array(model_input["memory"])).to(policy.dtype).reshape(memory.shape)
        uniforms = self._uniforms(len(observations), params or {})
        choice = policy.act(self._trained.parameters, observations, memory, uniforms)
        actions = self._actions(choice.actions)
        return {"actions": actions, "memory": choice.memory.numpy()} if named else actions

    def _observations(self, given: np.ndarray) -> Tensor:
        """Return a batch as training kept it, [B, O]."""
        described = self._trained.description
        kept = np.uint8 if described.pictures else described.dtype
        rows = np.array(given.reshape(len(given), -1), dtype=kept)
        return torch.from_numpy(rows)

    def _uniforms(self, count: int, params: Mapping[str, Any]) -> Tensor | None:
        if params.get("greedy", True):
            return None
        seed = params.get("seed")
        draws = np.random.default_rng() if seed is None else generator(seed, "serve")
        return torch.from_numpy(draws.random((count, self._trained.policy.distribution.draws)))

    def _actions(self, chosen: Tensor) -> np.ndarray:
        described = self._trained.description
        counted = chosen.numpy().reshape(len(chosen), -1) + np.array(described.action_start)
        actions: np.ndarray = counted.reshape(len(chosen), *described.action_shape).astype(described.action_dtype)
        return actions


def _load_pyfunc(path: str) -> ServedPolicy:
    return ServedPolicy(load_policy(Path(path)))
