"""Rollouts: an agent's rows play episodes, in compiled dynamics or in any bank of environments."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pgexp.envs.bank import Bank
from pgexp.envs.compiled.arguments import dynamics_arguments
from pgexp.envs.compiled.dynamics import Dynamics
from pgexp.functional.arrays import Floats, Ints
from pgexp.kernels import acting, compilation
from pgexp.kernels.random import episode_seed, seed_prefix
from pgexp.learning.agent import Agent, CompiledAgent
from pgexp.learning.recording import Recording
from pgexp.schema.streams import Key

Position = dict[str, NDArray[Any]]
"""The state of a rollout's rows between two batches, as arrays."""

_SEGMENT_WITHOUT_END: Final = -1


class ReplayError(Exception):
    """An environment did not repeat an episode from its seed and actions."""


class Rollout(ABC):
    """N environments under an agent.

    `ask` says what each row is to play; `play` advances the rows until they have. Episode n of environment i draws from
    the stream (seeds, i, n), whatever was played before, so that every episode's beginning is a restart point.
    """

    def __init__(self, agent: Agent, recording: Recording) -> None:
        self.agent, self.recording = agent, recording
        agent.rows["environment"] = np.arange(len(agent.rows))
        agent.rows["stride"] = 1
        self._prefix = np.zeros(0, np.uint32)

    @property
    def rows(self) -> NDArray[np.void]:
        """The state of each row, `acting.ROW` [N]."""
        return self.agent.rows

    def set_streams(self, seeds: Key, draws: Key) -> None:
        """Seed episodes from one stream and draw actions from another from now on."""
        self._prefix = seed_prefix(*seeds)
        self.agent.set_stream(draws)

    def ask(self, episodes: int | Ints, steps: int | None = None) -> None:
        """Have each row play so many episodes, or so many steps of a segment if that is given. Begin the recording."""
        self.rows["left"] = episodes if steps is None else np.iinfo(np.int64).max
        self.agent.settings[acting.SEGMENT] = _SEGMENT_WITHOUT_END if steps is None else steps
        self.recording.begin()

    @abstractmethod
    def play(self, greedy: bool = False) -> Iterator[None]:
        """Advance the rows until they have played what they were asked for; yield now and then.

        Raises DivergenceError for what is not finite, and whatever an environment raises.
        """

    @abstractmethod
    def position(self) -> Position:
        """Return a copy of the rows' state."""

    @abstractmethod
    def restore(self, position: Position) -> None:
        """Set the rows to a state. Raises ReplayError if an environment does not repeat its open episode."""

    @abstractmethod
    def close(self) -> None:
        """Release the environments."""

    def _position(self) -> Position:
        rows, lanes = self.rows, self.agent.lanes
        is_open = rows["open"] == 1
        return {
            "episode": rows["episode"].copy(),
            "time": np.where(is_open, rows["time"], 0),
            "returns": np.where(is_open, rows["returns"], 0.0),
            "observations": np.where(is_open[:, None], self.agent.seen, 0),
            "memory": np.where(is_open[:, None], lanes.memory, 0),
        }

    def _restore(self, position: Position) -> None:
        for name in ("episode", "time", "returns"):
            self.rows[name] = position[name]
        self.rows["open"] = position["time"] > 0
        self.agent.seen[:] = position["observations"]
        self.agent.lanes.memory[:] = position["memory"]


class CompiledRollout(Rollout):
    """Compiled dynamics under a compiled agent: one call of a kernel plays until its buffers are full."""

    def __init__(
        self, agent: CompiledAgent, recording: Recording, dynamics: Dynamics, max_episode_steps: int | None
    ) -> None:
        super().__init__(agent, recording)
        agent.settings[acting.TIME_LIMIT] = -1 if max_episode_steps is None else max_episode_steps
        self._compiled = agent
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
                self.recording.enlarge()
                arguments = self._arguments()
            elif status not in (acting.DONE, acting.PAUSED):
                agent.require(status)
            yield
            if status == acting.DONE:
                return

    def position(self) -> Position:
        """Return a copy of the rows' state: the environments' states and their random streams."""
        is_open = (self.rows["open"] == 1)[:, None]
        return self._position() | {
            "state": np.where(is_open, self._dynamics.state, 0.0),
            "rng": np.where(is_open, self._dynamics.rng, 0).astype(np.uint64).view(np.int64),
            "masks": np.where(is_open, self.agent.lanes.masks, True),
        }

    def restore(self, position: Position) -> None:
        """Set the rows to a state."""
        self._restore(position)
        self._dynamics.state[:] = position["state"]
        self._dynamics.rng[:] = position["rng"].view(np.uint64)
        self.agent.lanes.masks[:] = position["masks"]

    def close(self) -> None:
        """Do nothing: arrays hold no resource."""

    def _arguments(self) -> tuple[object, ...]:
        agent = self._compiled
        dynamics = self._dynamics._replace(prefix=self._prefix)
        recorded = self.recording.arguments
        return agent.arguments, agent.lanes, agent.workspace, dynamics, recorded, agent.settings, agent.cursor


class SteppedRollout(Rollout):
    """A bank of environments under any agent: per time step one call acts in all rows, and each row takes its step.

    Rows that remember can be restored within an episode, by playing it again from its seed and its actions.
    """

    def __init__(self, agent: Agent, recording: Recording, bank: Bank, remembers: bool = False) -> None:
        super().__init__(agent, recording)
        self.bank = bank
        self._remembers = remembers
        self._taken: Floats = np.zeros((len(agent.rows), 0, agent.lanes.actions.shape[1]))  # actions of open episodes

    def play(self, greedy: bool = False) -> Iterator[None]:
        """Advance the rows; yield after each time step."""
        agent, rows, recording = self.agent, self.rows, self.recording
        live = np.flatnonzero(rows["left"] > 0)
        while len(live):
            starting = live[rows["open"][live] == 0]
            if len(starting):
                self.start(starting)
                yield
            agent.act(live, greedy)
            recording.see(live)
            actions = agent.lanes.actions[live]
            if self._remembers:
                self._remember(live, actions)
            found = self.bank.step(live, actions)
            agent.seen[live] = found.observations
            if found.masks is not None:
                agent.lanes.masks[live] = found.masks
            recording.add(live, found.rewards, found.terminated, found.truncated)
            yield
            live = live[rows["left"][live] > 0]

    def start(self, live: Ints) -> None:
        """Begin the next episode in each of these rows."""
        rows = self.rows
        seeds = [
            int(episode_seed(self._prefix, int(rows["environment"][row]), int(rows["episode"][row])))
            for row in live.tolist()
        ]
        begun = self.bank.start(live, seeds)
        self.agent.seen[live] = begun.observations
        if begun.masks is not None:
            self.agent.lanes.masks[live] = begun.masks
        self.agent.lanes.memory[live] = 0
        rows["open"][live] = 1
        rows["time"][live] = 0
        rows["returns"][live] = 0.0

    def position(self) -> Position:
        """Return a copy of the rows' state: the actions of their open episodes."""
        found = self._position()
        taken = [self._taken[row, :time] for row, time in enumerate(found["time"].tolist())]
        return found | {"actions": np.concatenate(taken)}

    def restore(self, position: Position) -> None:
        """Set the rows to a state by playing their open episodes again. Raises ReplayError."""
        times, actions = position["time"], position["actions"]
        first = np.cumsum(times) - times
        self.rows["episode"] = position["episode"]
        begun = np.flatnonzero(times > 0)
        if len(begun):
            self.start(begun)
        for time in range(int(times.max(initial=0))):
            live = np.flatnonzero(times > time)
            taken: Floats = actions[first[live] + time].astype(np.float64)
            self._remember(live, taken)
            found = self.bank.step(live, taken)
            if (found.terminated | found.truncated).any():
                raise _different()
            self.agent.seen[live] = found.observations
            if found.masks is not None:
                self.agent.lanes.masks[live] = found.masks
            self.rows["returns"][live] += found.rewards
            self.rows["time"][live] += 1
        if not np.array_equal(self.agent.seen[begun], position["observations"][begun]):
            raise _different()
        if not np.array_equal(self.rows["returns"][begun], position["returns"][begun]):
            raise _different()
        self._restore(position)

    def close(self) -> None:
        """Release the environments."""
        self.bank.close()

    def _remember(self, live: Ints, actions: Floats) -> None:
        times = self.rows["time"][live]
        longest = int(times.max())
        if longest >= self._taken.shape[1]:
            rows, held, size = self._taken.shape
            self._taken = np.concatenate([self._taken, np.zeros((rows, max(512, held), size))], 1)
        self._taken[live, times] = actions


def _different() -> ReplayError:
    return ReplayError("the environment does not repeat an episode from its seed and its actions")
