"""Evaluator of policies, on episodes and streams of their own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pgexp.envs.bank import GymnasiumBank
from pgexp.functional.arrays import Flags, Floats, Ints
from pgexp.learning.agent import Agent, load
from pgexp.learning.recording import Recording
from pgexp.learning.rollout import Rollout, SteppedRollout
from pgexp.schema.streams import Name


@dataclass(frozen=True)
class Subject:
    """Key of an evaluation: the seed of the run, and the steps ("final" at its end)."""

    seed: int
    label: Name


@dataclass(frozen=True)
class Outcome:
    """The raw, undiscounted returns and the lengths of an evaluation's episodes, and which of them a time limit cut.

    [episodes] each. While they are played, an episode that has not ended has length 0.
    """

    returns: Floats
    lengths: Ints
    truncated: Flags


class Evaluator:
    """Plays episodes of a policy in N environments.

    Episode e of a subject is played in environment e % N, on the streams (seed, "evaluation", label, ..., e), so it
    depends on nothing but its subject and the parameters: not on training, or on earlier evaluations.
    """

    def __init__(self, make_agent: Callable[[], Agent], make_rollout: Callable[[Agent, Recording], Rollout]) -> None:
        """Take functions that make an agent with its own parameters, and its rollout."""
        self._make_agent, self._make_rollout = make_agent, make_rollout
        self._rollout: Rollout | None = (
            None  # made at the first evaluation, and kept: an environment may be slow to make
        )

    def close(self) -> None:
        """Release the environments."""
        if self._rollout is not None:
            self._rollout.close()

    def evaluate(self, parameters: Mapping[str, Tensor], subject: Subject, episodes: int, greedy: bool) -> Outcome:
        """Return the outcome of so many episodes. Raises as Rollout.play does."""
        *_, outcome = self.follow(parameters, subject, episodes, greedy)
        return outcome

    def follow(
        self, parameters: Mapping[str, Tensor], subject: Subject, episodes: int, greedy: bool
    ) -> Iterator[Outcome]:
        """Evaluate a subject; yield its outcome as it fills, and at last as `evaluate` returns it."""
        if self._rollout is None:
            agent = self._make_agent()
            self._rollout = self._make_rollout(agent, Recording(agent, masked=False, steps=False))
        rollout = self._rollout
        load(rollout.agent.parameters, parameters)
        count = _assign(rollout, subject, episodes)
        rollout.ask(_shares(len(rollout.rows), count, episodes))
        seen = 0
        for _ in rollout.play(greedy):
            if len(rollout.recording.ends) > seen:
                seen = len(rollout.recording.ends)
                yield _outcome(rollout.recording.ends, episodes)

    def film(
        self, bank: GymnasiumBank, parameters: Mapping[str, Tensor], subject: Subject, episodes: int, greedy: bool
    ) -> Iterator[NDArray[np.uint8]]:
        """Play the first of a subject's episodes again, the same bit for bit, and yield its pictures.

        The bank's environments draw pictures, and are closed at the end. episodes: how many the evaluation had.
        """
        for row in self.replay(bank, parameters, subject, episodes, greedy):
            yield bank.frame(row)

    def replay(
        self,
        bank: GymnasiumBank,
        parameters: Mapping[str, Tensor],
        subject: Subject,
        episodes: int,
        greedy: bool,
        episode: int = 0,
    ) -> Iterator[int]:
        """Play one of a subject's episodes again, the same bit for bit, in a bank that is closed at the end.

        Yields the row in which it is played, at its beginning and after each step. episodes: how many the evaluation
        had. Raises as Rollout.play does.
        """
        agent = self._make_agent()
        load(agent.parameters, parameters)
        rollout = SteppedRollout(agent, Recording(agent, masked=False, steps=False), bank)
        count = _assign(rollout, subject, episodes)
        row = episode % count
        rollout.rows["episode"][row] = episode
        rollout.ask(np.arange(len(rollout.rows)) == row)
        try:
            for _ in rollout.play(greedy):
                yield row
        finally:
            rollout.close()


def _assign(rollout: Rollout, subject: Subject, episodes: int) -> int:
    """Give the rows the first episodes of a subject, and return how many rows play."""
    rows = rollout.rows
    count = min(len(rows), episodes)
    key = (subject.seed, "evaluation", subject.label)
    rollout.set_streams((*key, "env"), (*key, "action"))
    rows["environment"], rows["open"] = 0, 0
    rows["episode"], rows["stride"] = np.arange(len(rows)), count
    return count


def _shares(rows: int, count: int, episodes: int) -> Ints:
    """Return how many episodes each row plays."""
    first = np.arange(rows)
    return np.where(first < count, (episodes - first + count - 1) // count, 0)


def _outcome(ends: NDArray[np.void], episodes: int) -> Outcome:
    returns, lengths, truncated = np.zeros(episodes), np.zeros(episodes, np.int64), np.zeros(episodes, np.bool_)
    places = ends["episode"]
    returns[places], lengths[places], truncated[places] = ends["returns"], ends["length"], ends["truncated"]
    return Outcome(returns, lengths, truncated)
