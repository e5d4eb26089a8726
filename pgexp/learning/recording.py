"""Recording of a batch: what the rows did, and where their episodes ended."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pgexp.functional.arrays import Actions, Flags, Floats, Ints
from pgexp.functional.batch import Batch
from pgexp.kernels import acting, compilation
from pgexp.kernels.acting import RecordArguments
from pgexp.learning.agent import Agent

INITIAL_CAPACITY: Final = 256  # steps per row, and episodes


class Recording:
    """Buffers of a batch: C steps per row, and E episodes, both enlarged when they are full."""

    def __init__(self, agent: Agent, masked: bool, steps: bool = True, capacity: int = INITIAL_CAPACITY) -> None:
        """Make the buffers for an agent's rows. steps: whether steps are recorded, or only the episodes' ends."""
        self._agent = agent
        lanes, count = agent.lanes, len(agent.rows)
        size, memory = lanes.observations.shape[1], lanes.memory.shape[1]
        choices = lanes.masks.shape[1] if masked else 0
        capacity = capacity if steps else 0
        ends = max(INITIAL_CAPACITY, 2 * count)
        self.arguments = RecordArguments(
            observations=np.zeros((count, capacity, size), agent.seen.dtype),
            masks=np.zeros((count, capacity, choices), np.bool_),
            samples=np.zeros((count, capacity, lanes.samples.shape[1])),
            rewards=np.zeros((count, capacity)),
            ends=np.zeros(ends, acting.END),
            final=np.zeros((ends, size), agent.seen.dtype),
            memory=np.zeros((ends, memory), agent.dtype),
            first_memory=np.zeros((count, memory), agent.dtype),
        )
        agent.settings[acting.RECORD] = steps
        live, flags = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        fixed = agent.lanes, agent.seen, self.arguments, agent.settings, count, live
        self._see = compilation.entry_point(acting.record_rows, *fixed, agent.cursor)
        self._add = compilation.entry_point(acting.advance_rows, *fixed, np.zeros(count), flags, flags, agent.cursor)

    @property
    def ends(self) -> NDArray[np.void]:
        """The episodes that have ended since the batch began, `acting.END`, in the order in which they did."""
        ends: NDArray[np.void] = self.arguments.ends[: self._agent.cursor[acting.ENDS]]
        return ends

    def begin(self) -> None:
        """Begin a batch, with the parts of the episodes that are open."""
        rows = self._agent.rows
        rows["count"] = rows["begin"] = 0
        rows["first"] = np.where(rows["open"] == 1, rows["time"], 0)
        if self.arguments.first_memory.shape[1]:
            self.arguments.first_memory[:] = np.where(rows["open"][:, None] == 1, self._agent.lanes.memory, 0)
        self._agent.cursor[acting.ENDS] = 0

    def enlarge(self) -> None:
        """Double the buffers that are full: of steps, of episodes, or both."""
        held, agent = self.arguments, self._agent
        names: dict[str, int] = {}  # to the axis along which they grow
        if agent.rows["count"].max() == held.rewards.shape[1]:
            names |= dict.fromkeys(("observations", "masks", "samples", "rewards"), 1)
        if agent.cursor[acting.ENDS] + len(agent.rows) > len(held.ends):
            names |= dict.fromkeys(("ends", "final", "memory"), 0)
        self.arguments = held._replace(**{name: _doubled(getattr(held, name), axis) for name, axis in names.items()})

    def see(self, live: Ints) -> None:
        """Write what the live rows see and do, before their environments take the step."""
        agent = self._agent
        while self._see(agent.lanes, agent.seen, self.arguments, agent.settings, len(live), live, agent.cursor):
            self.enlarge()

    def add(self, live: Ints, rewards: Floats, terminated: Flags, truncated: Flags) -> None:
        """Take in the step of the live rows, whose observations are the agent's. Raises DivergenceError."""
        agent = self._agent
        of_step = rewards, terminated, truncated
        agent.require(
            self._add(agent.lanes, agent.seen, self.arguments, agent.settings, len(live), live, *of_step, agent.cursor)
        )

    def batch(self) -> Batch:
        """Return a copy of what was recorded, row by row."""
        held, ends, counts = self.arguments, self.ends, self._agent.rows["count"]
        order = np.argsort(ends["row"], kind="stable")
        ends = ends[order]

        def steps(array: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([array[row, :count] for row, count in enumerate(counts.tolist())])

        return Batch(
            observations=steps(held.observations),
            actions=self._samples(steps(held.samples)),
            rewards=steps(held.rewards),
            lengths=ends["length"].copy(),
            first=ends["first"].copy(),
            terminated=ends["terminated"].astype(np.bool_),
            truncated=ends["truncated"].astype(np.bool_),
            final=held.final[order],
            returns=ends["returns"].copy(),
            environments=self._agent.rows["environment"][ends["row"]],
            numbers=ends["episode"].copy(),
            memory=held.memory[order],
            masks=steps(held.masks) if held.masks.shape[2] else None,
        )

    def _samples(self, samples: Floats) -> Actions:
        match self._agent.space.kind:
            case "discrete":
                return samples[:, 0].astype(np.int64)
            case "box":
                return samples.astype(self._agent.dtype)
        return samples.astype(np.int64)


def _doubled(array: NDArray[Any], axis: int) -> NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)], axis)
