"""Agents: a policy that acts in N rows, one environment each, compiled or in torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgexp.functional.arrays import Floats, Ints
from pgexp.functional.spaces import ActionSpace
from pgexp.kernels import acting, compilation, signatures
from pgexp.kernels.acting import PolicyArguments, RowArguments, Workspace
from pgexp.kernels.forward import forward
from pgexp.kernels.layout import layout_of, scratch_size
from pgexp.kernels.random import action_key
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.policy import Policy
from pgexp.networks.parameters import ParameterVector
from pgexp.schema.streams import Key

_QUOTA: Final = 200_000  # most steps per call of the loop, so that Ctrl-C and progress come through
_WORK: Final = 200_000_000  # most products of a parameter and a number per call of the loop

_REASONS: Final = {
    acting.BAD_OBSERVATION: "the environment gave an observation that is not finite",
    acting.BAD_REWARD: "the environment gave a reward that is not finite",
    acting.BAD_OUTPUT: "the policy's outputs are not finite",
    acting.NO_ACTION: "the environment's mask allows no action",
    acting.BAD_ACTION: "the environment refused the action as invalid",
}


class Agent(ABC):
    """A policy in N rows: what each row sees, remembers and does.

    An action's draws have the stream (key, environment, episode, time, component), so they depend neither on other rows
    nor on how often anything was drawn before.
    """

    def __init__(
        self,
        policy: Policy,
        parameters: ParameterVector,
        space: ActionSpace,
        count: int,
        observation_size: int,
        pictures: bool,
    ) -> None:
        self.policy, self.parameters, self.space, self.pictures = policy, parameters, space, pictures
        self.dtype = np.dtype(str(policy.dtype).removeprefix("torch."))
        self.lanes = RowArguments(
            rows=np.zeros(count, acting.ROW),
            observations=np.zeros((count, observation_size), self.dtype),
            masks=np.ones((count, space.choices), np.bool_),
            memory=np.zeros((count, policy.memory_size), self.dtype),
            samples=np.zeros((count, space.size)),
            actions=np.zeros((count, space.size)),
        )
        self.seen = np.zeros((count, observation_size), np.uint8) if pictures else self.lanes.observations
        """The observations as they are recorded: bytes of pictures, or the policy's precision, [N, O]."""
        self.key = np.zeros(2, np.uint64)
        self.settings = np.zeros(6, np.int64)
        self.settings[acting.DRAWS] = policy.distribution.draws
        self.settings[acting.QUOTA] = max(1_000, min(_QUOTA, _WORK // len(parameters.vector)))
        self.cursor = np.zeros(2, np.int64)

    @property
    def rows(self) -> NDArray[np.void]:
        """The state of each row, `acting.ROW` [N]."""
        rows: NDArray[np.void] = self.lanes.rows
        return rows

    def set_stream(self, stream: Key) -> None:
        """Draw actions from this stream from now on."""
        self.key[:] = action_key(*stream)

    @abstractmethod
    def act(self, live: Ints, greedy: bool) -> None:
        """Write samples, actions and the next memory of the live rows. Raises DivergenceError."""

    def require(self, status: int) -> None:
        """Raise DivergenceError for the status of a failed kernel."""
        if status in _REASONS:
            row = self.rows[self.cursor[acting.FAILED]]
            place = f"at step {row['time']} of episode {row['episode']} in environment {row['environment']}"
            raise DivergenceError(f"{_REASONS[status]} ({place}, each counted from 0)")


class CompiledAgent(Agent):
    """A policy whose network and head are compiled. Only the live rows are computed."""

    def __init__(
        self,
        policy: Policy,
        parameters: ParameterVector,
        space: ActionSpace,
        count: int,
        observation_size: int,
        pictures: bool,
    ) -> None:
        super().__init__(policy, parameters, space, count, observation_size, pictures)
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
        fixed = (self.arguments, self.lanes, self.workspace, self.settings)
        self._fixed = fixed
        self._act = compilation.entry_point(acting.act, *fixed, count, self.cursor)

    def act(self, live: Ints, greedy: bool) -> None:
        """Write samples, actions and the next memory of the live rows. Raises DivergenceError."""
        if self.pictures:
            seen = self.policy.observer.cast(torch.from_numpy(self.seen[live]))
            self.lanes.observations[live] = seen.numpy()
        self.settings[acting.GREEDY] = greedy
        self.workspace.live[: len(live)] = live
        self.require(self._act(*self._fixed, len(live), self.cursor))


class TorchAgent(Agent):
    """A policy of which the network or the head has no kernel.

    All rows are computed at each step, because the bits of a row may depend on how many there are.
    """

    def __init__(
        self,
        policy: Policy,
        parameters: ParameterVector,
        space: ActionSpace,
        count: int,
        observation_size: int,
        pictures: bool,
    ) -> None:
        super().__init__(policy, parameters, space, count, observation_size, pictures)
        self._uniforms = np.zeros((count, policy.distribution.draws))
        self._draw = compilation.entry_point(
            acting.draw, self.lanes, self.settings, self.key, count, np.zeros(count, np.int64), self._uniforms
        )

    def act(self, live: Ints, greedy: bool) -> None:
        """Write samples, actions and the next memory of the live rows. Raises DivergenceError."""
        lanes = self.lanes
        self._require_finite(self.seen, live, acting.BAD_OBSERVATION)
        masks = None if lanes.masks.all() else torch.from_numpy(lanes.masks)
        if masks is not None:
            self._require_choices(live)
        if not greedy:
            self._draw(lanes, self.settings, self.key, len(live), live, self._uniforms)
        choice = self.policy.act(
            self.parameters.views,
            torch.from_numpy(self.seen),
            torch.from_numpy(lanes.memory),
            None if greedy else torch.from_numpy(self._uniforms),
            masks,
        )
        self._require_finite(choice.parameters.numpy(), live, acting.BAD_OUTPUT)
        lanes.samples[live] = self._floats(choice.samples)[live]
        lanes.actions[live] = self._floats(choice.actions)[live]
        lanes.memory[live] = choice.memory.numpy()[live]

    def _require_choices(self, live: Ints) -> None:
        if self.space.counts:
            components = np.split(self.lanes.masks[live], np.cumsum(self.space.counts)[:-1], 1)
            possible = np.all([masks.any(1) for masks in components], 0)
            if not possible.all():
                self.cursor[acting.FAILED] = live[np.argmin(possible)]
                self.require(acting.NO_ACTION)

    def _require_finite(self, x: NDArray[Any], live: Ints, status: int) -> None:
        finite = np.isfinite(x[live]).all(1)
        if not finite.all():
            self.cursor[acting.FAILED] = live[np.argmin(finite)]
            self.require(status)

    def _floats(self, x: Tensor) -> Floats:
        found: Floats = x.numpy().astype(np.float64).reshape(len(x), -1)
        return found


def agent_of(
    policy: Policy,
    parameters: ParameterVector,
    space: ActionSpace,
    count: int,
    observation_size: int,
    pictures: bool,
) -> Agent:
    """Return an agent of N = count rows: compiled if network and head are, else in torch."""
    kind = TorchAgent if policy.layers() is None else CompiledAgent
    return kind(policy, parameters, space, count, observation_size, pictures)


def load(parameters: ParameterVector, values: Mapping[str, Tensor]) -> None:
    """Set an agent's parameters to these values."""
    for name, view in parameters.views.items():
        view.detach().copy_(values[name])
