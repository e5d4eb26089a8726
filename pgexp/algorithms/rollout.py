"""Rollouts: episodes of an agent in compiled dynamics or a bank of environments, and buffers that record them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pgexp.algorithms.agent import Agent, CompiledAgent
from pgexp.algorithms.errors import ReplayError
from pgexp.envs.bank import Bank
from pgexp.envs.compiled.bank import dynamics_arguments
from pgexp.envs.compiled.dynamics import Dynamics
from pgexp.functional.arrays import Actions, Flags, Floats, Ints
from pgexp.functional.batch import Batch
from pgexp.kernels import acting, compilation
from pgexp.kernels.acting import RecordArguments
from pgexp.kernels.random import episode_seed, seed_prefix
from pgexp.schema.streams import Key

RolloutState = dict[str, NDArray[Any]]
"""The state of a rollout's rows between two batches."""

INITIAL_CAPACITY: Final = 256  # steps per row, and episodes
_NOT_REPEATED: Final = "the environment does not repeat an episode from its seed and actions"


class BatchBuffer:
    """Buffers of a batch: C steps per row, and E episodes. They grow when they are full."""

    def __init__(self, agent: Agent, masked: bool, steps: bool = True, capacity: int = INITIAL_CAPACITY) -> None:
        """Allocate the buffers for an agent's rows. steps: whether to record steps, or only the ends of episodes."""
        self._agent = agent
        arrays, count = agent.arrays, len(agent.rows)
        size, memory = arrays.observations.shape[1], arrays.memory.shape[1]
        choices = arrays.masks.shape[1] if masked else 0
        capacity = capacity if steps else 0
        ends = max(INITIAL_CAPACITY, 2 * count)
        self.arguments = RecordArguments(
            observations=np.zeros((count, capacity, size), agent.raw_observations.dtype),
            masks=np.zeros((count, capacity, choices), np.bool_),
            samples=np.zeros((count, capacity, arrays.samples.shape[1])),
            rewards=np.zeros((count, capacity)),
            ends=np.zeros(ends, acting.END),
            final=np.zeros((ends, size), agent.raw_observations.dtype),
            memory=np.zeros((ends, memory), agent.dtype),
            first_memory=np.zeros((count, memory), agent.dtype),
        )
        agent.settings[acting.RECORD] = steps
        live, flags = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        fixed = agent.arrays, agent.raw_observations, self.arguments, agent.settings, count, live
        self._record_step = compilation.entry_point(acting.record_rows, *fixed, agent.cursor)
        self._record_outcome = compilation.entry_point(
            acting.advance_rows, *fixed, np.zeros(count), flags, flags, agent.cursor
        )

    @property
    def ends(self) -> NDArray[np.void]:
        """The episodes that have ended since the batch began, `acting.END`, in order of their ends."""
        ends: NDArray[np.void] = self.arguments.ends[: self._agent.cursor[acting.ENDS]]
        return ends

    def begin(self) -> None:
        """Begin a batch. Open episodes continue in it."""
        rows = self._agent.rows
        rows["count"] = rows["begin"] = 0
        rows["first"] = np.where(rows["open"] == 1, rows["time"], 0)
        if self.arguments.first_memory.shape[1]:
            self.arguments.first_memory[:] = np.where(rows["open"][:, None] == 1, self._agent.arrays.memory, 0)
        self._agent.cursor[acting.ENDS] = 0

    def grow(self) -> None:
        """Double the full buffers: of steps, of episodes, or both."""
        full, agent = self.arguments, self._agent
        axes: dict[str, int] = {}  # of growth, by buffer
        if agent.rows["count"].max() == full.rewards.shape[1]:
            axes |= dict.fromkeys(("observations", "masks", "samples", "rewards"), 1)
        if agent.cursor[acting.ENDS] + len(agent.rows) > len(full.ends):
            axes |= dict.fromkeys(("ends", "final", "memory"), 0)
        for name, axis in axes.items():
            array = getattr(full, name)
            full = full._replace(**{name: np.concatenate([array, np.zeros_like(array)], axis)})
        self.arguments = full

    def record_step(self, live: Ints) -> None:
        """Record observations and actions of the rows `live`, before their environments step."""
        agent = self._agent
        while self._record_step(
            agent.arrays, agent.raw_observations, self.arguments, agent.settings, len(live), live, agent.cursor
        ):
            self.grow()

    def record_outcome(self, live: Ints, rewards: Floats, terminated: Flags, truncated: Flags) -> None:
        """Record the outcome of the rows' steps; the agent has the next observations. Raises DivergenceError."""
        agent = self._agent
        fixed = agent.arrays, agent.raw_observations, self.arguments, agent.settings, len(live), live
        agent.raise_for(self._record_outcome(*fixed, rewards, terminated, truncated, agent.cursor))

    def batch(self) -> Batch:
        """Return a copy of the recorded batch, row by row."""
        buffers, ends, counts = self.arguments, self.ends, self._agent.rows["count"]
        order = np.argsort(ends["row"], kind="stable")
        ends = ends[order]

        def steps(array: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([array[row, :count] for row, count in enumerate(counts.tolist())])

        return Batch(
            observations=steps(buffers.observations),
            actions=self._samples(steps(buffers.samples)),
            rewards=steps(buffers.rewards),
            lengths=ends["length"].copy(),
            first=ends["first"].copy(),
            terminated=ends["terminated"].astype(np.bool_),
            truncated=ends["truncated"].astype(np.bool_),
            final=buffers.final[order],
            returns=ends["returns"].copy(),
            environments=self._agent.rows["environment"][ends["row"]],
            numbers=ends["episode"].copy(),
            memory=buffers.memory[order],
            masks=steps(buffers.masks) if buffers.masks.shape[2] else None,
        )

    def _samples(self, samples: Floats) -> Actions:
        match self._agent.space.kind:
            case "discrete":
                return samples[:, 0].astype(np.int64)
            case "box":
                return samples.astype(self._agent.dtype)
        return samples.astype(np.int64)


class Rollout(ABC):
    """N environments and the agent that acts in them.

    `request` sets the number of episodes or steps per row; `play` advances the rows until they are done. Episode n of
    environment i has the random stream (seeds, i, n), so that the beginning of each episode is a restart point.
    """

    def __init__(self, agent: Agent, buffer: BatchBuffer) -> None:
        self.agent, self.buffer = agent, buffer
        agent.rows["environment"] = np.arange(len(agent.rows))
        agent.rows["stride"] = 1
        self._prefix = np.zeros(0, np.uint32)

    @property
    def rows(self) -> NDArray[np.void]:
        """The state of each row, `acting.ROW` [N]."""
        return self.agent.rows

    def set_streams(self, seeds: Key, draws: Key) -> None:
        """Set the streams that seed episodes and draw actions."""
        self._prefix = seed_prefix(*seeds)
        self.agent.set_stream(draws)

    def request(self, episodes: int | Ints, steps: int | None = None) -> None:
        """Set the episodes that each row plays, or the steps of its segment, and begin a batch."""
        self.rows["left"] = episodes if steps is None else np.iinfo(np.int64).max
        self.agent.settings[acting.SEGMENT] = -1 if steps is None else steps
        self.buffer.begin()

    @abstractmethod
    def play(self, greedy: bool = False) -> Iterator[None]:
        """Advance the rows until the request is complete; yield from time to time.

        Raises DivergenceError if a number is not finite, and any exception of an environment.
        """

    @abstractmethod
    def state(self) -> RolloutState:
        """Return a copy of the rows' state."""

    @abstractmethod
    def restore(self, state: RolloutState) -> None:
        """Set the rows to a state. Raises ReplayError if an environment does not repeat its open episode."""

    @abstractmethod
    def close(self) -> None:
        """Release the environments."""

    def _row_state(self) -> RolloutState:
        rows, arrays = self.rows, self.agent.arrays
        is_open = rows["open"] == 1
        return {
            "episode": rows["episode"].copy(),
            "time": np.where(is_open, rows["time"], 0),
            "returns": np.where(is_open, rows["returns"], 0.0),
            "observations": np.where(is_open[:, None], self.agent.raw_observations, 0),
            "memory": np.where(is_open[:, None], arrays.memory, 0),
        }

    def _restore_rows(self, state: RolloutState) -> None:
        for name in ("episode", "time", "returns"):
            self.rows[name] = state[name]
        self.rows["open"] = state["time"] > 0
        self.agent.raw_observations[:] = state["observations"]
        self.agent.arrays.memory[:] = state["memory"]


class CompiledRollout(Rollout):
    """Compiled dynamics with a compiled agent: one call of a kernel advances all rows until a buffer is full."""

    def __init__(
        self, agent: CompiledAgent, buffer: BatchBuffer, dynamics: Dynamics, max_episode_steps: int | None
    ) -> None:
        super().__init__(agent, buffer)
        agent.settings[acting.TIME_LIMIT] = -1 if max_episode_steps is None else max_episode_steps
        self._compiled_agent = agent
        self._dynamics = dynamics_arguments(dynamics, len(agent.rows))
        self._play = compilation.entry_point(acting.play, *self._arguments())

    def play(self, greedy: bool = False) -> Iterator[None]:
        """Advance the rows; yield whenever the kernel returns."""
        agent = self.agent
        agent.settings[acting.GREEDY] = greedy
        arguments = self._arguments()
        while True:
            status = self._play(*arguments)
            if status == acting.FULL:
                self.buffer.grow()
                arguments = self._arguments()
            elif status not in (acting.DONE, acting.PAUSED):
                agent.raise_for(status)
            yield
            if status == acting.DONE:
                return

    def state(self) -> RolloutState:
        """Return a copy of the rows' state, with the environments' states and generators."""
        is_open = (self.rows["open"] == 1)[:, None]
        return self._row_state() | {
            "state": np.where(is_open, self._dynamics.state, 0.0),
            "rng": np.where(is_open, self._dynamics.rng, 0).astype(np.uint64).view(np.int64),
            "masks": np.where(is_open, self.agent.arrays.masks, True),
        }

    def restore(self, state: RolloutState) -> None:
        """Set the rows to a state."""
        self._restore_rows(state)
        self._dynamics.state[:] = state["state"]
        self._dynamics.rng[:] = state["rng"].view(np.uint64)
        self.agent.arrays.masks[:] = state["masks"]

    def close(self) -> None:
        """Do nothing: arrays hold no resource."""

    def _arguments(self) -> tuple[object, ...]:
        agent = self._compiled_agent
        dynamics = self._dynamics._replace(prefix=self._prefix)
        buffers = self.buffer.arguments
        return agent.arguments, agent.arrays, agent.workspace, dynamics, buffers, agent.settings, agent.cursor


class SteppedRollout(Rollout):
    """A bank of environments with any agent: each time step is one call of the agent and one of the bank.

    A resumable rollout keeps the actions of open episodes, so that `restore` can play them again from their seeds.
    """

    def __init__(self, agent: Agent, buffer: BatchBuffer, bank: Bank, resumable: bool = False) -> None:
        super().__init__(agent, buffer)
        self.bank = bank
        self._resumable = resumable
        self._actions: Floats = np.zeros(
            (len(agent.rows), 0, agent.arrays.actions.shape[1])
        )  # actions of open episodes

    def play(self, greedy: bool = False) -> Iterator[None]:
        """Advance the rows; yield after each time step."""
        agent, rows, buffer = self.agent, self.rows, self.buffer
        live = np.flatnonzero(rows["left"] > 0)
        while len(live):
            starting = live[rows["open"][live] == 0]
            if len(starting):
                self.start(starting)
                yield
            agent.act(live, greedy)
            buffer.record_step(live)
            actions = agent.arrays.actions[live]
            if self._resumable:
                self._append_actions(live, actions)
            found = self.bank.step(live, actions)
            agent.raw_observations[live] = found.observations
            if found.masks is not None:
                agent.arrays.masks[live] = found.masks
            buffer.record_outcome(live, found.rewards, found.terminated, found.truncated)
            yield
            live = live[rows["left"][live] > 0]

    def start(self, live: Ints) -> None:
        """Begin the next episode in each of the rows `live`."""
        rows = self.rows
        seeds = [
            int(episode_seed(self._prefix, int(rows["environment"][row]), int(rows["episode"][row])))
            for row in live.tolist()
        ]
        start = self.bank.start(live, seeds)
        self.agent.raw_observations[live] = start.observations
        if start.masks is not None:
            self.agent.arrays.masks[live] = start.masks
        self.agent.arrays.memory[live] = 0
        rows["open"][live] = 1
        rows["time"][live] = 0
        rows["returns"][live] = 0.0

    def state(self) -> RolloutState:
        """Return a copy of the rows' state, with the actions of their open episodes."""
        found = self._row_state()
        actions = [self._actions[row, :time] for row, time in enumerate(found["time"].tolist())]
        return found | {"actions": np.concatenate(actions)}

    def restore(self, state: RolloutState) -> None:
        """Set the rows to a state by playing their open episodes again. Raises ReplayError."""
        times, actions = state["time"], state["actions"]
        first = np.cumsum(times) - times
        self.rows["episode"] = state["episode"]
        open_rows = np.flatnonzero(times > 0)
        if len(open_rows):
            self.start(open_rows)
        for time in range(int(times.max(initial=0))):
            live = np.flatnonzero(times > time)
            step_actions: Floats = actions[first[live] + time].astype(np.float64)
            self._append_actions(live, step_actions)
            found = self.bank.step(live, step_actions)
            if (found.terminated | found.truncated).any():
                raise ReplayError(_NOT_REPEATED)
            self.agent.raw_observations[live] = found.observations
            if found.masks is not None:
                self.agent.arrays.masks[live] = found.masks
            self.rows["returns"][live] += found.rewards
            self.rows["time"][live] += 1
        if not np.array_equal(self.agent.raw_observations[open_rows], state["observations"][open_rows]):
            raise ReplayError(_NOT_REPEATED)
        if not np.array_equal(self.rows["returns"][open_rows], state["returns"][open_rows]):
            raise ReplayError(_NOT_REPEATED)
        self._restore_rows(state)

    def close(self) -> None:
        """Release the environments."""
        self.bank.close()

    def _append_actions(self, live: Ints, actions: Floats) -> None:
        times = self.rows["time"][live]
        longest = int(times.max())
        if longest >= self._actions.shape[1]:
            rows, capacity, size = self._actions.shape
            self._actions = np.concatenate([self._actions, np.zeros((rows, max(512, capacity), size))], 1)
        self._actions[live, times] = actions
