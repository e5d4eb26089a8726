"""Collects each run's batch: whole episodes, or segments of steps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgexp.functional.arrays import Observations, Rows
from pgexp.functional.batch import Batch
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.finite import nonfinite
from pgexp.learning.rollout import Rollout
from pgexp.learning.steps import Position, Step
from pgexp.networks.parameters import Parameters

_INITIAL_CAPACITY = 256
_STEPS_BETWEEN_CHECKS = 256


class Collector:
    """Plays the slots of a pack until each run has its batch.

    `episodes` is K/N, how many whole episodes each slot plays for a batch, so that short ones are not
    over-represented; `steps` is the length T of a segment. One of the two is given.
    """

    def __init__(self, rollout: Rollout, runs: int, slots: int, episodes: int | None, steps: int | None) -> None:
        self._rollout = rollout
        self._slots = slots
        self._episodes = episodes
        self._steps = steps
        self._recording = _Recording(runs * slots, slots, steps or _INITIAL_CAPACITY)

    def collect(self, stacked: Parameters, runs: Sequence[int]) -> list[Batch | Exception]:
        """Return a batch for each of the runs, acting under the parameters stacked for all of the pack, [R, ...].

        In place of the batch of a run whose environment failed, or gave what is no finite number, stands the reason.
        """
        rollout, recording = self._rollout, self._recording
        rows = (np.array(runs)[:, None] * self._slots + np.arange(self._slots)).ravel()
        live = np.zeros(len(rollout.time), dtype=bool)
        live[rows] = True
        left = np.where(live, self._episodes or -1, 0)  # episodes to play; without end in segments
        rollout.follow(stacked)
        rollout.start(rows if self._episodes else rows[rollout.episode[rows] < 0])
        recording.clear(rows, rollout)
        taken = 0
        while (live := live & rollout.sound).any() and taken != self._steps:
            step = rollout.step(live)
            recording.add(step, taken, rollout)
            ended = step.ended
            left[ended] -= 1
            live[ended] = left[ended] != 0
            rollout.start(ended[live[ended]])
            taken += 1
            if taken % _STEPS_BETWEEN_CHECKS == 0:
                self._drop_broken(step)
        recording.close_open(rows[rollout.sound[rows]], rollout)
        return [rollout.failures.get(run) or self._batch(run) for run in runs]

    def position(self, run: int) -> Position:
        """Return where a run's slots stand between two batches."""
        return self._rollout.position(run)

    def restore(self, run: int, position: Position) -> None:
        """Let a run's slots stand there again. Raises ReplayError."""
        self._rollout.restore(run, position)

    def close(self) -> None:
        """Release the environments."""
        self._rollout.close()

    def _drop_broken(self, step: Step) -> None:
        """Take out the runs whose batch will be refused in any case: their episodes may never end."""
        sound = np.isfinite(self._rollout.returns[step.rows]) & np.isfinite(step.observations).all(1)
        for run in np.unique(step.rows[~sound] // self._slots).tolist():
            rows = run * self._slots + np.arange(self._slots)
            self._recording.close_open(rows, self._rollout)
            too_large = DivergenceError("the rewards of an episode add up to what is no finite number")
            self._rollout.fail(run, nonfinite(self._recording.batch(rows)) or too_large)

    def _batch(self, run: int) -> Batch | Exception:
        batch = self._recording.batch(run * self._slots + np.arange(self._slots))
        return nonfinite(batch) or batch


class _End(NamedTuple):
    """Where an episode, or the part of it that a segment holds, ended."""

    lengths: int
    first: int
    terminated: bool
    truncated: bool
    final: Observations
    returns: float
    slots: int
    numbers: int
    memory: Observations


class _Recording:
    """What the rows did, time after time, [rows, capacity, ...]; and where in it their episodes ended."""

    def __init__(self, rows: int, slots: int, capacity: int) -> None:
        self._slots, self._capacity = slots, capacity
        self._arrays: dict[str, NDArray[Any]] = {}
        self._ends: list[list[_End]] = [[] for _ in range(rows)]
        self._count = np.zeros(rows, dtype=np.int64)  # steps held
        self._begun = np.zeros(rows, dtype=np.int64)  # where the open episode begins among them
        self._first = np.zeros(rows, dtype=np.int64)  # that step's time within its episode
        self._memory: Observations = np.zeros((rows, 0))  # before that step, [rows, Z]

    def clear(self, rows: Rows, rollout: Rollout) -> None:
        """Begin a batch, with the episodes that are open in the rows."""
        self._count[rows] = self._begun[rows] = 0
        self._first[rows] = rollout.time[rows]
        self._memory = rollout.memory.copy()
        for row in rows.tolist():
            self._ends[row].clear()

    def add(self, step: Step, position: int, rollout: Rollout) -> None:
        """Write a step. Every live row has lived since the batch's start, so all write at the same position."""
        values = {
            "observations": step.observations,
            "actions": step.actions,
            "rewards": step.rewards,
        }
        for name, value in values.items():
            self._array(name, value, position)[step.rows, position] = value
        self._count[step.rows] = position + 1
        for i in np.flatnonzero(step.terminated | step.truncated).tolist():
            self._end(int(step.rows[i]), bool(step.terminated[i]), bool(step.truncated[i]), rollout)

    def close_open(self, rows: Rows, rollout: Rollout) -> None:
        """End the record of the episodes that go on after a segment."""
        for row in rows.tolist():
            if self._count[row] > self._begun[row]:
                self._end(row, False, False, rollout)

    def batch(self, rows: Rows) -> Batch:
        """Return what the rows of one run did, row after row."""
        longest = self._count[rows].max()
        valid = np.arange(longest) < self._count[rows, None]
        ends = [end for row in rows.tolist() for end in self._ends[row]]
        of_steps = {name: array[rows, :longest][valid] for name, array in self._arrays.items()}
        of_episodes = zip(_End._fields, map(np.array, zip(*ends, strict=True)), strict=True)
        return Batch(**of_steps, **dict(of_episodes))

    def _end(self, row: int, terminated: bool, truncated: bool, rollout: Rollout) -> None:
        length = int(self._count[row] - self._begun[row])
        self._ends[row].append(
            _End(
                length,
                int(self._first[row]),
                terminated,
                truncated,
                final=rollout.observations[row].copy(),
                returns=float(rollout.returns[row]),
                slots=row % self._slots,
                numbers=int(rollout.episode[row]),
                memory=self._memory[row].copy(),
            )
        )
        self._begun[row] = self._count[row]
        self._first[row] = 0
        self._memory[row] = 0.0

    def _array(self, name: str, value: NDArray[Any], position: int) -> NDArray[Any]:
        """Return the array of a name, twice as long where the position lies beyond its end."""
        held = self._arrays.get(name)
        if held is None or position >= held.shape[1]:
            length = max(self._capacity, 2 * position)
            grown = np.empty((len(self._count), length, *value.shape[1:]), value.dtype)
            if held is not None:
                grown[:, : held.shape[1]] = held
            self._arrays[name] = held = grown
        return held
