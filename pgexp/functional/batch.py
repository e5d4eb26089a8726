"""Batch of transitions, episode after episode, without padding."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pgexp.functional.arrays import Actions, Flags, Floats, Ints, Observations
from pgexp.functional.returns import starts, times


@dataclass(frozen=True)
class Batch:
    """S transitions in E episodes, ordered by environment, and by time within an environment.

    A segment may hold a part of an episode: the part's first step is at time `first` of the episode, and the episode is
    `open` if the segment ended before it.
    """

    observations: Observations  # [S, O]
    actions: Actions  # [S] or [S, D], as the policy sampled them
    rewards: Floats  # [S], raw
    lengths: Ints  # [E], steps of each episode in the batch
    first: Ints  # [E], the time of the first of these steps within its episode
    terminated: Flags  # [E], the episode ended in a terminal state
    truncated: Flags  # [E], a time limit ended the episode
    final: Observations  # [E, O], the observation after the last of these steps
    returns: Floats  # [E], raw and undiscounted, since the episode's first step
    environments: Ints  # [E], the environment that played the episode
    numbers: Ints  # [E], the episode's number in its environment, from 0
    memory: Observations  # [E, Z], a recurrent policy's memory before the first of these steps; Z = 0 without a memory
    masks: Flags | None = None  # [S, choices], the allowed actions; None if all are

    @property
    def steps(self) -> int:
        """S, the number of steps."""
        return len(self.rewards)

    @property
    def open(self) -> Flags:
        """[E], whether the episode continues in the next batch."""
        return ~(self.terminated | self.truncated)

    @property
    def episode_lengths(self) -> Ints:
        """[E], the number of steps since the episode began."""
        return self.first + self.lengths

    @property
    def times(self) -> Ints:
        """[S], each step's time within its episode."""
        return times(self.lengths, self.first)

    def select(self, episodes: Flags) -> "Batch":
        """Return the batch of the episodes for which `episodes`, [E], is true."""
        return self._part(np.flatnonzero(np.repeat(episodes, self.lengths)), np.flatnonzero(episodes))

    def episodes(self) -> Iterator[tuple["Batch", slice]]:
        """Yield each episode as a batch, and the slice of its steps in this batch."""
        for index, begin in enumerate(starts(self.lengths).tolist()):
            steps = slice(begin, begin + int(self.lengths[index]))
            yield self._part(steps, slice(index, index + 1)), steps

    def _part(self, steps: Ints | slice, episodes: Ints | slice) -> "Batch":
        of_steps = ("observations", "actions", "rewards", "masks")
        parts = {field.name: steps if field.name in of_steps else episodes for field in fields(self)}
        chosen: dict[str, Any] = {}
        for name, part in parts.items():
            array = getattr(self, name)
            chosen[name] = None if array is None else array[part]
        return Batch(**chosen)


@dataclass(frozen=True)
class Returns:
    """The return of each step of a batch, and sums per episode.

    With the total return, each step has the return of its whole episode, and averages are over episodes. With the
    others (reward-to-go, lambda-return, n-step return), averages are over steps.
    """

    per_step: Floats  # [S]
    lengths: Ints  # [E]
    sums: Floats  # [E], the sum over each episode of the returns to average
    counts: Ints  # [E], the number of returns in each sum

    @property
    def per_episode(self) -> bool:
        """Whether each step has its whole episode's return. For episodes of one step the two are equal."""
        return bool((self.counts < self.lengths).any())
