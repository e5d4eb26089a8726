"""Slots under stacked policies: which episode each slot plays, on which streams, and one step of any of them.

A slot's draws are keyed by (run, slot, episode, time), so they depend neither on the pack nor on how long others live.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

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


class Rollout:
    """R x N slots of an environment advancing under R stacked policies. Row r * N + i is slot i of run r."""

    def __init__(self, env: EnvSpec, slots: Slots, policy: Policy, runs: int, per_run: int, stream: StreamOf) -> None:
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
        result = self._slots.step(rows, choice.actions.numpy()[acting])
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

    def close(self) -> None:
        """Release the environments."""
        self._slots.close()

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
            block = int(self.time[row]) // NOISE_BLOCK
            draws = generator(*self._stream(row, "action", self.episode[row]), block)
            self._noise[row] = self._policy.distribution.noise(draws, NOISE_BLOCK)
        return self._of(self._noise[self._rows, position], runs)
