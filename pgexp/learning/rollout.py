"""Slots under stacked policies: which episode each slot plays, on which streams, and one step of any of them.

A slot's draws are keyed by (run, slot, episode, time), so they depend neither on the pack nor on how long others live.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pgexp.envs.slots import Slots
from pgexp.envs.spec import EnvSpec
from pgexp.functional.arrays import Actions, Flags, Floats, Ints, Observations, Rows
from pgexp.learning.policy import Policy
from pgexp.networks.parameters import Parameters, select
from pgexp.schema.streams import Key, generator, integer

NOISE_BLOCK = 512  # draws made at once: one generator's call a slot a step would cost the throughput

StreamOf = Callable[[int, str, int], Key]
"""Gives the stream of a slot's row, for a purpose ("env" or "action") in an episode."""


class Step(NamedTuple):
    """One step of M rows: where they stood and what they did, and what came of it."""

    rows: Rows  # [M]
    observations: Observations  # [M, O]
    actions: Actions  # [M] or [M, D], as the policy sampled them
    rewards: Floats  # [M], raw
    terminated: Flags  # [M], the episode ended by itself
    truncated: Flags  # [M], a time limit cut it, and it had not ended by itself

    @property
    def ended(self) -> Rows:
        """The rows whose episode is over."""
        return self.rows[self.terminated | self.truncated]


@dataclass(frozen=True)
class Position:
    """Where one run's N slots stand between two batches.

    In batches of whole episodes only the episodes' numbers count. A segment may leave episodes open; for these the
    actions taken say where they stand, since an episode is played again by them from its seed.
    """

    episode: Ints  # [N], the episode each slot played last, or plays; -1 before the first
    time: Ints  # [N], the steps taken in an open episode, else 0
    actions: Actions  # [sum of time, ...], slot after slot, as the environment was given them
    returns: Floats  # [N], the raw rewards received in an open episode, else 0
    observations: Observations  # [N, O], what each slot sees
    memory: Observations  # [N, Z]


class ReplayError(Exception):
    """An environment did not play an episode again as it had been played."""


class Rollout:
    """R x N slots of an environment advancing under R stacked policies. Row r * N + i is slot i of run r."""

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

    def start(self, rows: Rows) -> None:
        """Begin the next episode in each of the rows."""
        self.episode[rows] += 1
        self.time[rows] = 0
        self.returns[rows] = 0.0
        self.memory[rows] = 0.0
        seeds = [integer(*self._stream(row, "env", self.episode[row])) for row in rows.tolist()]
        self.observations[rows] = self._slots.start(rows, seeds)

    def follow(self, stacked: Parameters) -> None:
        """Act under these parameters, [R, ...], from now on; after each change of their values they are given anew."""
        self._stacked, self._selected = stacked, ([], {})

    def step(self, live: Flags, greedy: bool = False) -> Step:
        """Take a step in the live rows, [R * N]. A row whose episode has ended waits for `start`."""
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
        self.observations[rows] = result.observations
        self.time[rows] += 1
        self.returns[rows] += result.rewards
        return Step(
            rows,
            before,
            samples,
            result.rewards,
            result.terminated,
            result.truncated & ~result.terminated,
        )

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
        """Let a run's slots stand where they stood, by playing what is open again. Raises ReplayError."""
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

    def _play_again(self, rows: Rows, position: Position) -> None:
        begun = position.episode >= 0
        self.episode[rows] = position.episode - begun
        self.start(rows[begun])
        first = np.cumsum(position.time) - position.time
        for t in range(int(position.time.max(initial=0))):
            live = np.flatnonzero(position.time > t)
            actions = position.actions[first[live] + t]
            self._remember(rows[live], actions)
            result = self._slots.step(rows[live], actions)
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
