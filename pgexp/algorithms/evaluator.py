"""Evaluator of policies, with random streams separate from training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pgexp.algorithms.agent import Agent
from pgexp.algorithms.rollout import BatchBuffer, Rollout, SteppedRollout
from pgexp.envs.bank import GymnasiumBank
from pgexp.functional.arrays import Flags, Floats, Ints
from pgexp.schema.streams import Name


@dataclass(frozen=True)
class EvaluationKey:
    """Key of an evaluation's random streams: the run's seed, and its steps or "final"."""

    seed: int
    label: Name


@dataclass(frozen=True)
class EvaluationResult:
    """Raw, undiscounted returns and lengths of an evaluation's episodes, and whether a time limit ended them.

    Each is [episodes]. During the evaluation, an episode that has not ended has length 0.
    """

    returns: Floats
    lengths: Ints
    truncated: Flags


class Evaluator:
    """Plays episodes of a policy in N environments.

    Episode e is played in environment e % N with the streams (seed, "evaluation", label, ..., e). It depends on its key
    and the parameters only, not on training or earlier evaluations.
    """

    def __init__(self, make_agent: Callable[[], Agent], make_rollout: Callable[[Agent, BatchBuffer], Rollout]) -> None:
        """Set the functions that make an agent with its own parameters, and its rollout."""
        self._make_agent, self._make_rollout = make_agent, make_rollout
        self._rollout: Rollout | None = None  # made at the first evaluation, since environments may be slow to make

    def close(self) -> None:
        """Release the environments."""
        if self._rollout is not None:
            self._rollout.close()

    def evaluate(
        self, parameters: Mapping[str, Tensor], key: EvaluationKey, episodes: int, greedy: bool
    ) -> EvaluationResult:
        """Return the result of a number of episodes. Raises as Rollout.play does."""
        *_, result = self.iterate(parameters, key, episodes, greedy)
        return result

    def iterate(
        self, parameters: Mapping[str, Tensor], key: EvaluationKey, episodes: int, greedy: bool
    ) -> Iterator[EvaluationResult]:
        """Evaluate a policy; yield the result after each ended episode, the complete one last."""
        if self._rollout is None:
            agent = self._make_agent()
            self._rollout = self._make_rollout(agent, BatchBuffer(agent, masked=False, steps=False))
        rollout = self._rollout
        _load(rollout.agent, parameters)
        count = _assign(rollout, key, episodes)
        first = np.arange(len(rollout.rows))
        rollout.request(np.where(first < count, (episodes - first + count - 1) // count, 0))
        ended = 0
        for _ in rollout.play(greedy):
            if len(rollout.buffer.ends) > ended:
                ended = len(rollout.buffer.ends)
                yield _result(rollout.buffer.ends, episodes)

    def film(
        self, bank: GymnasiumBank, parameters: Mapping[str, Tensor], key: EvaluationKey, episodes: int, greedy: bool
    ) -> Iterator[NDArray[np.uint8]]:
        """Play the first episode of an evaluation again, bit for bit, and yield its images.

        bank: of environments that render; it is closed at the end. episodes: the number of the evaluation's episodes.
        """
        for row in self.replay(bank, parameters, key, episodes, greedy):
            yield bank.frame(row)

    def replay(
        self,
        bank: GymnasiumBank,
        parameters: Mapping[str, Tensor],
        key: EvaluationKey,
        episodes: int,
        greedy: bool,
        episode: int = 0,
    ) -> Iterator[int]:
        """Play an episode of an evaluation again, bit for bit, in a bank that is closed at the end.

        Yields its row at its beginning and after each step. episodes: the number of the evaluation's episodes. Raises
        as Rollout.play does.
        """
        agent = self._make_agent()
        _load(agent, parameters)
        rollout = SteppedRollout(agent, BatchBuffer(agent, masked=False, steps=False), bank)
        count = _assign(rollout, key, episodes)
        row = episode % count
        rollout.rows["episode"][row] = episode
        rollout.request(np.arange(len(rollout.rows)) == row)
        try:
            for _ in rollout.play(greedy):
                yield row
        finally:
            rollout.close()


def _load(agent: Agent, values: Mapping[str, Tensor]) -> None:
    for name, view in agent.parameters.views.items():
        view.detach().copy_(values[name])


def _assign(rollout: Rollout, key: EvaluationKey, episodes: int) -> int:
    """Assign the first episodes of an evaluation to the rows; return the number of rows that play."""
    rows = rollout.rows
    count = min(len(rows), episodes)
    stream = (key.seed, "evaluation", key.label)
    rollout.set_streams((*stream, "env"), (*stream, "action"))
    rows["environment"], rows["open"] = 0, 0
    rows["episode"], rows["stride"] = np.arange(len(rows)), count
    return count


def _result(ends: NDArray[np.void], episodes: int) -> EvaluationResult:
    returns, lengths, truncated = np.zeros(episodes), np.zeros(episodes, np.int64), np.zeros(episodes, np.bool_)
    places = ends["episode"]
    returns[places], lengths[places], truncated[places] = ends["returns"], ends["length"], ends["truncated"]
    return EvaluationResult(returns, lengths, truncated)
