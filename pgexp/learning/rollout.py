"""Slots under stacked policies: which episode each slot plays, on which streams, and one step of any of them.

A slot's draws are keyed by (run, slot, episode, time), so they depend neither on the pack nor on how long others live.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pgexp.envs.slots import Failures, Slots
from pgexp.envs.spec import EnvSpec
from pgexp.functional.arrays import Actions, Flags, Ints, Observations, Rows
from pgexp.learning import finite
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.policy import Policy
from pgexp.learning.steps import Position, Step
from pgexp.networks.parameters import Parameters, select
from pgexp.schema.streams import Key, generator, integer

NOISE_BLOCK = 512  # draws made at once: one generator's call a slot a step would cost the throughput

StreamOf = Callable[[int, str, int], Key]
"""Gives the stream of a slot's row, for a purpose ("env" or "action") in an episode."""


class ReplayError(Exception):
    """An environment did not play an episode again as it had been played."""


class Rollout:
    """R x N slots of an environment advancing under R stacked policies. Row r * N + i is slot i of run r.

    A run of which one row's environment fails is out, with all its rows: neither started nor stepped again.
    """

    def __init__(
        self,
        env: EnvSpec,
        slots: Slots,
        policy: Policy,
        runs: int,
        per_run: int,
        stream: StreamOf,
        remembers: bool = False,
    ) -> None:
        """Make the slots; one that remembers can tell the actions of episodes that are open between two batches."""
        self._shape = (runs, per_run)
        self._slots = slots
        self._policy = policy
        self._stream = stream
        count = runs * per_run
        self._noise = np.zeros((count, NOISE_BLOCK, policy.distribution.noise_size), dtype=np.float32)
        self._stacked: Parameters = {}
        self._selected: tuple[list[int], Parameters] = ([], {})
        kept = torch.uint8 if env.observation_dtype == "uint8" else policy.dtype
        self.observations: Observations = torch.zeros(count, env.observation_size, dtype=kept).numpy()
        """What each row sees, [R * N, O]; after an episode's end its last observation, until the next one starts."""
        self.memory: Observations = torch.zeros(count, policy.memory_size, dtype=policy.dtype).numpy()
        """What a recurrent policy remembers in each row, [R * N, Z]; zeros at an episode's begin."""
        self._taken: Actions | None = None  # [R * N, capacity, ...], the actions of each row's episode
        self._remembers = remembers
        self._rows = np.arange(count)
        self.episode = np.full(count, -1)  # the episode each row plays
        self.time = np.zeros(count, dtype=np.int64)  # the steps taken in it
        self.returns = np.zeros(count)  # the raw rewards received in it
        self.failures: dict[int, Exception] = {}  # why a run is out, by run
        self.sound = np.ones(count, dtype=bool)  # the rows of the other runs

    def start(self, rows: Rows) -> None:
        """Begin the next episode in each of the rows, but those whose run is out."""
        rows = rows[self.sound[rows]]
        self.episode[rows] += 1
        self.time[rows] = 0
        self.returns[rows] = 0.0
        self.memory[rows] = 0.0
        seeds = [integer(*self._stream(row, "env", self.episode[row])) for row in rows.tolist()]
        begun = self._slots.start(rows, seeds)
        self.observations[rows] = begun.observations
        self._fail(begun.failures)

    def follow(self, stacked: Parameters) -> None:
        """Act under these parameters, [R, ...], from now on; after each change of their values they are given anew."""
        self._stacked, self._selected = stacked, ([], {})

    def step(self, live: Flags, greedy: bool = False) -> Step:
        """Take a step in the live rows, [R * N], of runs that are not out; return that of those that still are not.

        A row whose episode has ended waits for `start`.
        """
        rows = np.flatnonzero(live)
        runs = np.flatnonzero(live.reshape(self._shape).any(1))
        noise = None if greedy else self._draw(rows, runs)
        acting = live.reshape(self._shape)[runs]
        choice = self._policy.act(
            self._select(runs.tolist()), self._of(self.observations, runs), self._of(self.memory, runs), noise
        )
        before, samples = self.observations[rows], choice.samples.numpy()[acting]
        self.memory[rows] = choice.memory.numpy()[acting]
        actions = choice.actions.numpy()[acting]
        if self._remembers:
            self._remember(rows, actions)
        result = self._slots.step(rows, actions)
        if result.failures:
            self._fail({row: self._cause(row, error) for row, error in result.failures.items()})
        self.observations[rows] = result.observations
        self.time[rows] += 1
        self.returns[rows] += result.rewards
        step = Step(
            rows,
            before,
            samples,
            result.rewards,
            result.terminated,
            result.truncated & ~result.terminated,
        )
        return step.select(self.sound[rows]) if result.failures else step

    def fail(self, run: int, error: Exception) -> None:
        """Have a run out, for this reason if it is the first."""
        self.failures.setdefault(run, error)
        self.sound[run * self._shape[1] : (run + 1) * self._shape[1]] = False

    def require_sound(self) -> None:
        """Raise what the first environment to fail did, if one has failed."""
        for error in self.failures.values():
            raise error

    def position(self, run: int) -> Position:
        """Return where a run's slots stand."""
        rows = run * self._shape[1] + np.arange(self._shape[1])
        time = self.time[rows] if self._remembers else np.zeros(len(rows), dtype=np.int64)
        held: Actions = np.zeros((len(self.time), 0)) if self._taken is None else self._taken
        return Position(
            episode=self.episode[rows].copy(),
            time=time.copy(),
            actions=np.concatenate([held[row, :t] for row, t in zip(rows, time, strict=True)]),
            returns=np.where(time > 0, self.returns[rows], 0.0),
            observations=self.observations[rows].copy(),
            memory=self.memory[rows].copy(),
        )

    def restore(self, run: int, position: Position) -> None:
        """Let a run's slots stand where they stood, by playing what is open again. Raises ReplayError.

        Where an environment fails, the run is out.
        """
        rows = run * self._shape[1] + np.arange(self._shape[1])
        if position.episode.shape != rows.shape:
            raise ValueError(f"{len(position.episode)} slots in place of {len(rows)}")
        if self._remembers:
            self._play_again(rows, position)
        self.episode[rows] = position.episode
        self.observations[rows] = position.observations
        self.memory[rows] = position.memory

    def close(self) -> None:
        """Release the environments."""
        self._slots.close()

    def _fail(self, failures: Failures) -> None:
        for row in sorted(failures):
            self.fail(row // self._shape[1], failures[row])

    def _cause(self, row: int, error: Exception) -> Exception:
        """Return what is behind an environment's error in a step: it may have shown before that it is broken."""
        seen = self.observations[row]
        if np.isfinite(seen).all():
            return error
        cause = DivergenceError(f"the environment gave {finite.told(seen)}, and raised {type(error).__name__} after it")
        cause.__cause__ = error
        return cause

    def _play_again(self, rows: Rows, position: Position) -> None:
        begun = position.episode >= 0
        self.episode[rows] = position.episode - begun
        self.start(rows[begun])
        if not self.sound[rows].all():
            return
        first = np.cumsum(position.time) - position.time
        for t in range(int(position.time.max(initial=0))):
            live = np.flatnonzero(position.time > t)
            actions = position.actions[first[live] + t]
            self._remember(rows[live], actions)
            result = self._slots.step(rows[live], actions)
            self._fail(result.failures)
            if not self.sound[rows].all():
                return
            _require_equal(result.terminated | result.truncated, np.zeros(len(live), dtype=bool))
            self.observations[rows[live]] = result.observations
            self.returns[rows[live]] += result.rewards
            self.time[rows[live]] += 1
        _require_equal(self.observations[rows[begun]], position.observations[begun])
        _require_equal(self.returns[rows], position.returns)
        for row in rows[position.time % NOISE_BLOCK > 0].tolist():
            self._draw_block(row)

    def _remember(self, rows: Rows, actions: Actions) -> None:
        longest = int(self.time[rows].max())
        if self._taken is None or longest >= self._taken.shape[1]:
            grown = np.empty((len(self.time), max(NOISE_BLOCK, 2 * longest), *actions.shape[1:]), actions.dtype)
            if self._taken is not None:
                grown[:, : self._taken.shape[1]] = self._taken
            self._taken = grown
        self._taken[rows, self.time[rows]] = actions

    def _select(self, runs: list[int]) -> Parameters:
        """Leave out whole runs that wait. A run keeps all its N rows: bits of a product may depend on how many."""
        if self._selected[0] != runs:
            self._selected = (runs, select(self._stacked, runs))
        return self._selected[1]

    def _of(self, x: Observations, runs: Ints) -> torch.Tensor:
        return torch.from_numpy(x.reshape(*self._shape, x.shape[-1])[runs])

    def _draw(self, rows: Rows, runs: Ints) -> torch.Tensor:
        position = self.time % NOISE_BLOCK
        for row in rows[position[rows] == 0].tolist():
            self._draw_block(row)
        return self._of(self._noise[self._rows, position], runs)

    def _draw_block(self, row: int) -> None:
        block = int(self.time[row]) // NOISE_BLOCK
        draws = generator(*self._stream(row, "action", self.episode[row]), block)
        self._noise[row] = self._policy.distribution.noise(draws, NOISE_BLOCK)


def _require_equal(now: NDArray[Any], before: NDArray[Any]) -> None:
    if not np.array_equal(now, before):
        raise ReplayError("the environment did not play an episode again as before, from its seed and its actions")
