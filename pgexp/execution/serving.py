"""Trained policy as an MLflow model: observations in, actions out. MLflow loads it by `_load_pyfunc`.

The input is a batch of observations: as the environment returns them if its space is a Box, [B, *shape], and otherwise
flattened as by ``gymnasium.spaces.flatten``, [B, O]. The output is a batch of actions for the environment, [B, *shape].

A policy with a memory has two named inputs, ``observations`` and ``memory`` [B, Z], and two outputs, ``actions`` and
the next ``memory``. The memory is zero at the start of an episode. The model has no masks of allowed actions.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgexp.execution.trained_policy import TrainedPolicy, load_policy
from pgexp.schema.streams import generator


class ServedPolicy:
    """Model that returns actions for a batch of observations."""

    def __init__(self, trained: TrainedPolicy) -> None:
        self._trained = trained

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return actions for observations, and the next memory if the policy has one.

        params: with `greedy` (default true), the actions are the most probable ones. Otherwise they are sampled: with
        a `seed` from the stream (seed, "serve"), and without one from a new stream in each call.
        """
        described, policy = self._trained.description, self._trained.policy
        named = isinstance(model_input, Mapping)
        batch = model_input["observations"] if named else model_input
        observations = self._observations(np.asarray(batch))
        memory = torch.zeros(len(observations), described.memory_size, dtype=policy.dtype)
        if named:
            memory = torch.from_numpy(np.array(model_input["memory"])).to(policy.dtype).reshape(memory.shape)
        uniforms = self._uniforms(len(observations), params or {})
        choice = policy.act(self._trained.parameters, observations, memory, uniforms)
        actions = self._actions(choice.actions)
        return {"actions": actions, "memory": choice.memory.numpy()} if named else actions

    def _observations(self, batch: np.ndarray) -> Tensor:
        """Return a batch in the layout and dtype of training, [B, O]."""
        described = self._trained.description
        kept = np.uint8 if described.pictures else described.dtype
        rows = np.array(batch.reshape(len(batch), -1), dtype=kept)
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
