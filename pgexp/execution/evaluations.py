"""The evaluations of a pack: policies wait for one another, and many are evaluated as one program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pgexp.learning.evaluator import Evaluator, Outcome, Subject
from pgexp.learning.state import State
from pgexp.networks.parameters import Parameters, stack
from pgexp.schema.config import Evaluation


@dataclass(frozen=True)
class Due:
    """A policy that waits for its evaluation: a copy of its run's state, and where in the run it comes from.

    An evaluation has streams of its own, so it gives the same whenever it is made.
    """

    run: int
    seed: int
    progress: float
    final: bool
    state: State

    @property
    def steps(self) -> int:
        """The training steps behind it."""
        return int(self.state.counters["steps"])

    @property
    def parameters(self) -> Parameters:
        """The run's parameters, without a run axis."""
        return {name: tensor[0] for name, tensor in self.state.parameters.items()}

    @property
    def subject(self) -> Subject:
        """What the evaluation's streams are keyed by."""
        return Subject(self.seed, "final" if self.final else self.steps)


@dataclass
class Evaluations:
    """The policies that wait, and the means to evaluate them."""

    evaluator: Evaluator
    settings: Evaluation
    waiting: list[Due] = field(default_factory=list)

    def take(self) -> Iterator[tuple[Due, Outcome | None]]:
        """Evaluate all that wait; yield them with their outcomes, None where no episodes were asked for."""
        due, self.waiting = self.waiting, []
        yield from self._played([entry for entry in due if not entry.final], self.settings.episodes)
        yield from self._played([entry for entry in due if entry.final], self.settings.final_episodes)

    def _played(self, due: Sequence[Due], episodes: int) -> Iterator[tuple[Due, Outcome | None]]:
        if not due or not episodes:
            yield from ((entry, None) for entry in due)
            return
        stacked = stack([entry.parameters for entry in due])
        subjects = [entry.subject for entry in due]
        outcomes = self.evaluator.evaluate(stacked, subjects, episodes, self.settings.greedy)
        yield from zip(due, outcomes, strict=True)
