"""A run's batch: its own valid transitions, episode after episode, nothing padded."""

from dataclasses import dataclass

import numpy as np

from pgexp.functional.arrays import Flags, Floats, Ints, Observations
from pgexp.functional.returns import times


@dataclass(frozen=True)
class Batch:
    """S transitions in E episodes, slot after slot and within a slot in order.

    In batches of segments an episode may be held in part: its first step held is at time `first` of the episode, and
    it is `open` where the segment ended before it.
    """

    observations: Observations  # [S, O]
    actions: Ints  # [S]
    rewards: Floats  # [S], raw
    lengths: Ints  # [E], steps held of each episode
    first: Ints  # [E], the time in its episode of the first step held
    terminated: Flags  # [E], it ended by itself
    truncated: Flags  # [E], a time limit cut it
    final: Observations  # [E, O], the observation after the last step held
    returns: Floats  # [E], raw and undiscounted, since the episode's first step

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
        steps = np.repeat(episodes, self.lengths)
        of_steps = {name: getattr(self, name)[steps] for name in ("observations", "actions", "rewards")}
        names = ("lengths", "first", "terminated", "truncated", "final", "returns")
        return Batch(**of_steps, **{name: getattr(self, name)[episodes] for name in names})


@dataclass(frozen=True)
class Credit:
    """What each step of a batch is credited with, and how it adds up by episode.

    With reward-to-go the credit of a step is its return-to-go, and an average is over steps; with the total return it
    is the return of the step's whole episode, and an average is over episodes.
    """

    of_steps: Floats  # [S]
    lengths: Ints  # [E]
    sums: Floats  # [E], the credits to average, summed over each episode
    counts: Ints  # [E], how many those are
