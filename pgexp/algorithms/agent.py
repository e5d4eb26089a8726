"""Agents: a policy that acts in N rows, one environment each, by compiled kernels or in torch."""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgexp.algorithms.errors import DivergenceError
from pgexp.algorithms.policy import Policy
from pgexp.functional.arrays import Floats, Ints
from pgexp.functional.spaces import ActionSpace
from pgexp.kernels import acting, compilation, signatures
from pgexp.kernels.acting import PolicyArguments, RowArguments, Workspace
from pgexp.kernels.forward import forward
from pgexp.kernels.layout import layout_of, scratch_size
from pgexp.kernels.random import action_key
from pgexp.networks.network import ParameterVector
from pgexp.schema.streams import Key

# Limits per call of the acting loop, so that Ctrl-C and progress are handled between calls.
_MAX_STEPS: Final = 200_000
_MAX_PRODUCTS: Final = 200_000_000  # of a parameter and a number

_REASONS: Final = {
    acting.BAD_OBSERVATION: "the environment returned an observation that is not finite",
    acting.BAD_REWARD: "the environment returned a reward that is not finite",
    acting.BAD_OUTPUT: "the policy's outputs are not finite",
    acting.NO_ACTION: "the environment's mask allows no action",
    acting.BAD_ACTION: "the environment refused the action as invalid",
}


class Agent(ABC):
    """A policy in N rows: the observation, memory and action of each.

    An action's random numbers have the stream (key, environment, episode, time, component). They depend neither on
    other rows nor on earlier draws.
    """

    def __init__(
        self,
        policy: Policy,
        parameters: ParameterVector,
        space: ActionSpace,
        count: int,
        observation_size: int,
        images: bool,
    ) -> None:
        self.policy, self.parameters, self.space, self.images = policy, parameters, space, images
        self.dtype = np.dtype(str(policy.dtype).removeprefix("torch."))
        self.arrays = RowArguments(
            rows=np.zeros(count, acting.ROW),
            observations=np.zeros((count, observation_size), self.dtype),
            masks=np.ones((count, space.choices), np.bool_),
            memory=np.zeros((count, policy.memory_size), self.dtype),
            samples=np.zeros((count, space.size)),
            actions=np.zeros((count, space.size)),
        )
        self.raw_observations = np.zeros((count, observation_size), np.uint8) if images else self.arrays.observations
        """The recorded observations, [N, O]: bytes of images, or numbers of the policy's precision."""
        self.key = np.zeros(2, np.uint64)
        self.settings = np.zeros(6, np.int64)
        self.settings[acting.DRAWS] = policy.distribution.draws
        self.settings[acting.QUOTA] = max(1_000, min(_MAX_STEPS, _MAX_PRODUCTS // len(parameters.vector)))
        self.cursor = np.zeros(2, np.int64)

    @property
    def rows(self) -> NDArray[np.void]:
        """The state of each row, `acting.ROW` [N]."""
        rows: NDArray[np.void] = self.arrays.rows
        return rows

    def set_stream(self, stream: Key) -> None:
        """Set the stream that actions are drawn from."""
        self.key[:] = action_key(*stream)

    @abstractmethod
    def act(self, live: Ints, greedy: bool) -> None:
        """Write samples, actions and the next memory of the rows `live`. Raises DivergenceError."""

    def raise_for(self, status: int) -> None:
        """Raise DivergenceError if the status is a kernel's failure."""
        if status in _REASONS:
            row = self.rows[self.cursor[acting.FAILED]]
            place = f"at step {row['time']} of episode {row['episode']} in environment {row['environment']}"
            raise DivergenceError(f"{_REASONS[status]} ({place}, each counted from 0)")


class CompiledAgent(Agent):
    """A policy whose network and head are compiled. It computes the live rows only."""

    def __init__(
        self,
        policy: Policy,
        parameters: ParameterVector,
        space: ActionSpace,
        count: int,
        observation_size: int,
        images: bool,
    ) -> None:
        super().__init__(policy, parameters, space, count, observation_size, images)
        layers, head = policy.layers(), policy.head.compiled()
        assert layers is not None, "the policy acts in torch"
        assert head is not None, "the policy acts in torch"
        assert layers[0].inputs == observation_size, (layers[0], observation_size)
        assert layers[-1].outputs == policy.outputs, (layers[-1], policy.outputs)
        assert all(one.outputs == next_one.inputs for one, next_one in pairwise(layers)), layers
        vector = parameters.vector.numpy()
        real = signatures.f4 if self.dtype == np.float32 else signatures.f8
        own = -1 if head.parameter is None else parameters.offsets[head.parameter]
        layout = layout_of(layers, parameters.offsets, own)
        self.arguments = PolicyArguments(
            forward=compilation.address(forward, signatures.forward(real)),
            sample=compilation.address(head.sample, signatures.sample(real)),
            parameters=vector,
            layout=layout,
            constants=np.array(head.constants, dtype=np.float64),
            key=self.key,
        )
        self.workspace = Workspace(
            live=np.zeros(count, np.int64),
            x=np.zeros((count, observation_size), self.dtype),
            memory=np.zeros((count, policy.memory_size), self.dtype),
            scratch=np.zeros(scratch_size(layout, count), self.dtype),
            outputs=np.zeros((count, policy.outputs), self.dtype),
            uniforms=np.zeros(policy.distribution.draws),
        )
        self._fixed = (self.arguments, self.arrays, self.workspace, self.settings)
        self._act = compilation.entry_point(acting.act, *self._fixed, count, self.cursor)

    def act(self, live: Ints, greedy: bool) -> None:
        """Write samples, actions and the next memory of the rows `live`. Raises DivergenceError."""
        if self.images:
            observations = self.policy.normalizer.cast(torch.from_numpy(self.raw_observations[live]))
            self.arrays.observations[live] = observations.numpy()
        self.settings[acting.GREEDY] = greedy
        self.workspace.live[: len(live)] = live
        self.raise_for(self._act(*self._fixed, len(live), self.cursor))


class TorchAgent(Agent):
    """A policy whose network or head has no kernel.

    It computes all rows at each step, because a row's bits may depend on the number of rows.
    """

    def __init__(
        self,
        policy: Policy,
        parameters: ParameterVector,
        space: ActionSpace,
        count: int,
        observation_size: int,
        images: bool,
    ) -> None:
        super().__init__(policy, parameters, space, count, observation_size, images)
        self._uniforms = np.zeros((count, policy.distribution.draws))
        self._draw = compilation.entry_point(
            acting.draw, self.arrays, self.settings, self.key, count, np.zeros(count, np.int64), self._uniforms
        )

    def act(self, live: Ints, greedy: bool) -> None:
        """Write samples, actions and the next memory of the rows `live`. Raises DivergenceError."""
        arrays = self.arrays
        self._require_finite(self.raw_observations, live, acting.BAD_OBSERVATION)
        masks = None if arrays.masks.all() else torch.from_numpy(arrays.masks)
        if masks is not None:
            self._require_choices(live)
        if not greedy:
            self._draw(arrays, self.settings, self.key, len(live), live, self._uniforms)
        output = self.policy.act(
            self.parameters.views,
            torch.from_numpy(self.raw_observations),
            torch.from_numpy(arrays.memory),
            None if greedy else torch.from_numpy(self._uniforms),
            masks,
        )
        self._require_finite(output.parameters.numpy(), live, acting.BAD_OUTPUT)
        arrays.samples[live] = self._floats(output.samples)[live]
        arrays.actions[live] = self._floats(output.actions)[live]
        arrays.memory[live] = output.memory.numpy()[live]

    def _require_choices(self, live: Ints) -> None:
        if self.space.counts:
            components = np.split(self.arrays.masks[live], np.cumsum(self.space.counts)[:-1], 1)
            possible = np.all([masks.any(1) for masks in components], 0)
            if not possible.all():
                self.cursor[acting.FAILED] = live[np.argmin(possible)]
                self.raise_for(acting.NO_ACTION)

    def _require_finite(self, x: NDArray[Any], live: Ints, status: int) -> None:
        finite = np.isfinite(x[live]).all(1)
        if not finite.all():
            self.cursor[acting.FAILED] = live[np.argmin(finite)]
            self.raise_for(status)

    def _floats(self, x: Tensor) -> Floats:
        found: Floats = x.numpy().astype(np.float64).reshape(len(x), -1)
        return found


def make_agent(
    policy: Policy,
    parameters: ParameterVector,
    space: ActionSpace,
    count: int,
    observation_size: int,
    images: bool,
) -> Agent:
    """Return an agent with N = count rows: compiled if network and head have kernels, else in torch."""
    kind = TorchAgent if policy.layers() is None else CompiledAgent
    return kind(policy, parameters, space, count, observation_size, images)
