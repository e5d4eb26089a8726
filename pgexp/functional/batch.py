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
    lengths: Ints  # [E], steps of each episode that the batch holds
    first: Ints  # [E], the time of the first of these within its episode
    terminated: Flags  # [E], it ended by itself
    truncated: Flags  # [E], a time limit cut it
    final: Observations  # [E, O], the observation after the last of these
    returns: Floats  # [E], raw and undiscounted, since the episode's first step
    environments: Ints  # [E], the environment that played the episode
    numbers: Ints  # [E], which of that environment's episodes it is, counted from 0
    memory: Observations  # [E, Z], a recurrent policy's memory before the first of these; Z = 0 without one
    masks: Flags | None = None  # [S, choices], the actions that were allowed; None if all are

    @property
    def steps(self) -> int:
        """S."""
        return len(self.rewards)

    @property
    def open(self) -> Flags:
        """[E], not ended yet: the episode continues in the next batch."""
        return ~(self.terminated | self.truncated)

    @property
    def episode_lengths(self) -> Ints:
        """[E], the steps since the episode's first one."""
        return self.first + self.lengths

    @property
    def times(self) -> Ints:
        """[S], each step's time within its episode."""
        return times(self.lengths, self.first)

    def select(self, episodes: Flags) -> "Batch":
        """Return the batch of the chosen episodes, [E]."""
        return self._part(np.flatnonzero(np.repeat(episodes, self.lengths)), np.flatnonzero(episodes))

    def episodes(self) -> Iterator[tuple["Batch", slice]]:
        """Yield each episode as a batch of its own, and the slice of its steps in this one."""
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
class Credit:
    """The return of each step of a batch, and sums by episode.

    With the total return, each step has the return of its whole episode, and an average is over episodes; with all
    others (return-to-go, lambda- or n-step return) an average is over steps.
    """

    of_steps: Floats  # [S]
    lengths: Ints  # [E]
    sums: Floats  # [E], the returns to average, summed over each episode
    counts: Ints  # [E], how many those are

    @property
    def of_episodes(self) -> bool:
        """Whether steps have their whole episode's return. For episodes of one step the two are the same."""
        return bool((self.counts < self.lengths).any())
