"""A run's batch: its own valid transitions, episode after episode, nothing padded."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from pgexp.functional.arrays import Actions, Flags, Floats, Ints, Observations
from pgexp.functional.returns import starts, times


@dataclass(frozen=True)
class Batch:
    """S transitions in E episodes, slot after slot and within a slot in order.

    In batches of segments an episode may be held in part: its first step held is at time `first` of the episode, and
    it is `open` where the segment ended before it.
    """

    observations: Observations  # [S, O]
    actions: Actions  # [S] or [S, D], as the policy sampled them
    rewards: Floats  # [S], raw
    lengths: Ints  # [E], steps held of each episode
    first: Ints  # [E], the time in its episode of the first step held
    terminated: Flags  # [E], it ended by itself
    truncated: Flags  # [E], a time limit cut it
    final: Observations  # [E, O], the observation after the last step held
    returns: Floats  # [E], raw and undiscounted, since the episode's first step
    slots: Ints  # [E], the slot that played the episode
    numbers: Ints  # [E], which of that slot's episodes it is, counted from 0
    memory: Observations  # [E, Z], a recurrent policy's memory before the first step held; Z = 0 without one

    @property
    def steps(self) -> int:
        """S."""
        return len(self.rewards)

    @property
    def open(self) -> Flags:
        """[E], not ended yet: the episode goes on in the next batch."""
        return ~(self.terminated | self.truncated)

    @property
    def episode_lengths(self) -> Ints:
        """[E], the steps since the episode's first, held or not."""
        return self.first + self.lengths

    @property
    def times(self) -> Ints:
        """[S], each step's time within its episode."""
        return times(self.lengths, self.first)

    def select(self, episodes: Flags) -> "Batch":
        """Return the batch of the chosen episodes, [E], alone."""
        return self._part(np.repeat(episodes, self.lengths), episodes)

    def episodes(self) -> Iterator[tuple["Batch", slice]]:
        """Yield each episode as a batch of its own, and where its steps stand in this one."""
        for index, begin in enumerate(starts(self.lengths).tolist()):
            steps = slice(begin, begin + int(self.lengths[index]))
            yield self._part(steps, slice(index, index + 1)), steps

    def _part(self, steps: Flags | slice, episodes: Flags | slice) -> "Batch":
        of_steps = ("observations", "actions", "rewards")
        parts = {field.name: steps if field.name in of_steps else episodes for field in fields(self)}
        return Batch(**{name: getattr(self, name)[part] for name, part in parts.items()})


@dataclass(frozen=True)
class Credit:
    """What each step of a batch is credited with, and how it adds up by episode.

    With the total return that of a step is the return of its whole episode, and an average is over episodes; with all
    others (the return-to-go, a lambda- or n-step return) an average is over steps.
    """

    of_steps: Floats  # [S]
    lengths: Ints  # [E]
    sums: Floats  # [E], the credits to average, summed over each episode
    counts: Ints  # [E], how many those are

    @property
    def of_episodes(self) -> bool:
        """Whether steps are credited with their whole episode's return. Of one step alone the two are the same."""
        return bool((self.counts < self.lengths).any())
