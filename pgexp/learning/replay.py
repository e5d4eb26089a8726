"""Greedy replay of a run's episodes, for self-critical baselines."""

from collections.abc import Callable

import numpy as np

from pgexp.baselines.baseline import Replay
from pgexp.functional.batch import Batch
from pgexp.learning.rollout import Rollout


class GreedyReplayer:
    """Plays a batch's episodes again from the same seeds, with the most probable actions.

    An episode's environment has the stream that it had in the batch, so both begin in the same state and meet the same
    random events as long as they act alike. The parameters are the run's at the time of the call.
    """

    def __init__(self, make: Callable[[], Rollout]) -> None:
        """Take a function that makes the rollout; it is called when the first batch is replayed."""
        self._make = make
        self._rollout: Rollout | None = None

    def __call__(self, batch: Batch) -> Replay:
        """Return the rewards of each of the batch's episodes, played again. Raises as Rollout.play does."""
        rollout = self._rollout = self._rollout or self._make()
        rows = rollout.rows
        environments, first = np.unique(batch.environments, return_index=True)
        rows["episode"][environments] = batch.numbers[first]  # an environment's episodes are consecutive
        rows["open"] = 0
        rollout.ask(np.bincount(batch.environments, minlength=len(rows)))
        for _ in rollout.play(greedy=True):
            pass
        played = rollout.recording.batch()
        return Replay(played.rewards, played.lengths)

    def close(self) -> None:
        """Release the environments."""
        if self._rollout is not None:
            self._rollout.close()
