"""What one step of a pack's slots is, and where a run's slots stand between two batches."""

from dataclasses import dataclass
from typing import NamedTuple

from pgexp.functional.arrays import Actions, Flags, Floats, Ints, Observations, Rows


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

    def select(self, kept: Flags) -> "Step":
        """Return the step of the chosen rows, [M], alone."""
        return Step._make(part[kept] for part in self)


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
