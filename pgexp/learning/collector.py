"""Collector of batches: whole episodes, or segments of steps."""

from collections.abc import Mapping
from typing import Any

from pgexp.functional.batch import Batch
from pgexp.learning.rollout import Position, Rollout


class Collector:
    """Plays a run's environments until a batch is complete.

    `episodes` is K/N, the whole episodes per environment and batch, so that short ones are not over-represented;
    `steps` is the length T of a segment. One of the two is given.
    """

    def __init__(self, rollout: Rollout, episodes: int | None, steps: int | None) -> None:
        self._rollout, self._episodes, self._steps = rollout, episodes, steps

    def collect(self) -> Batch:
        """Return a batch under the agent's current parameters.

        Raises DivergenceError for what is not finite, and whatever an environment raises.
        """
        self._rollout.ask(self._episodes or 0, self._steps)
        for _ in self._rollout.play():
            pass
        return self._rollout.recording.batch()

    def position(self) -> Position:
        """Return the state of the environments between two batches."""
        return self._rollout.position()

    def restore(self, position: Mapping[str, Any]) -> None:
        """Set the environments to a state. Raises ReplayError."""
        self._rollout.restore(dict(position))

    def close(self) -> None:
        """Release the environments."""
        self._rollout.close()
