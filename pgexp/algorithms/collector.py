"""Collector of batches, and greedy replay of their episodes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pgexp.algorithms.rollout import Rollout, RolloutState
from pgexp.baselines.baseline import Replay
from pgexp.functional.batch import Batch


class Collector:
    """Advances a run's environments until a batch is complete.

    Either `episodes` is K/N, the number of whole episodes per environment and batch, or `steps` is the length T of a
    segment. Equal numbers of episodes per environment prevent that short episodes are over-represented.
    """

    def __init__(self, rollout: Rollout, episodes: int | None, steps: int | None) -> None:
        self._rollout, self._episodes, self._steps = rollout, episodes, steps

    def collect(self) -> Batch:
        """Return a batch under the agent's current parameters.

        Raises DivergenceError if a number is not finite, and any exception of an environment.
        """
        self._rollout.request(self._episodes or 0, self._steps)
        for _ in self._rollout.play():
            pass
        return self._rollout.buffer.batch()

    def state(self) -> RolloutState:
        """Return the state of the environments between two batches."""
        return self._rollout.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set the environments to a state. Raises ReplayError."""
        self._rollout.restore(dict(state))

    def close(self) -> None:
        """Release the environments."""
        self._rollout.close()


class GreedyReplayer:
    """Plays a batch's episodes again from the same seeds with greedy actions, for self-critical baselines.

    An episode's environment has the same random stream as in the batch. Both episodes begin in the same state and have
    the same random events as long as their actions are equal. It acts with the run's current parameters.
    """

    def __init__(self, make_rollout: Callable[[], Rollout]) -> None:
        """Set the function that makes the rollout; it is called at the first replay."""
        self._make_rollout = make_rollout
        self._rollout: Rollout | None = None

    def __call__(self, batch: Batch) -> Replay:
        """Return the rewards of each replayed episode of the batch. Raises as Rollout.play does."""
        rollout = self._rollout = self._rollout or self._make_rollout()
        rows = rollout.rows
        environments, first = np.unique(batch.environments, return_index=True)
        rows["episode"][environments] = batch.numbers[first]  # an environment's episodes are consecutive
        rows["open"] = 0
        rollout.request(np.bincount(batch.environments, minlength=len(rows)))
        for _ in rollout.play(greedy=True):
            pass
        replayed = rollout.buffer.batch()
        return Replay(replayed.rewards, replayed.lengths)

    def close(self) -> None:
        """Release the environments."""
        if self._rollout is not None:
            self._rollout.close()
