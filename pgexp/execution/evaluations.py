"""The evaluations of a pack: policies wait for one another, and many are evaluated as one program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pgexp.learning.evaluator import Evaluator, Outcome, Subject
from pgexp.learning.failure import RunError
from pgexp.learning.state import State
from pgexp.networks.parameters import Parameters, stack
from pgexp.schema import names
from pgexp.schema.config import Evaluation
from pgexp.storage.video import write_video


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


def summed_up(phase: str, outcome: Outcome) -> dict[str, float]:
    """Return an outcome's metrics by name; the phase is names.EVALUATION or names.FINAL."""
    returns = outcome.returns
    values = (returns.mean(), returns.std(), returns.min(), returns.max(), outcome.lengths.mean())
    return dict(zip(names.evaluation_metrics(phase), map(float, values), strict=True))


@dataclass
class Evaluations:
    """The policies that wait, and the means to evaluate them."""

    evaluator: Evaluator
    settings: Evaluation
    waiting: list[Due] = field(default_factory=list)

    def take(self) -> Iterator[tuple[Due, Outcome | Exception | None]]:
        """Evaluate all that wait; yield them with their outcomes, None where no episodes were asked for.

        In place of an outcome stands why there is none: what the environment raised, or that a return is not finite.
        """
        due, self.waiting = self.waiting, []
        yield from self._played([entry for entry in due if not entry.final], self.settings.episodes)
        yield from self._played([entry for entry in due if entry.final], self.settings.final_episodes)

    def film(self, due: Due, path: Path, frames_per_second: float) -> None:
        """Write the film of the first episode of a final evaluation. Raises RunError where none can be made."""
        frames = self.evaluator.film(due.parameters, due.subject, self.settings.final_episodes, self.settings.greedy)
        try:
            write_video(path, frames, frames_per_second)
        except Exception as error:  # a renderer may raise anything
            path.unlink(missing_ok=True)
            raise RunError(f"the film can't be made: {type(error).__name__}: {error}") from error

    def _played(self, due: Sequence[Due], episodes: int) -> Iterator[tuple[Due, Outcome | Exception | None]]:
        if not due or not episodes:
            yield from ((entry, None) for entry in due)
            return
        stacked = stack([entry.parameters for entry in due])
        subjects = [entry.subject for entry in due]
        outcomes = self.evaluator.attempt(stacked, subjects, episodes, self.settings.greedy)
        yield from zip(due, map(_finite, outcomes), strict=True)


def _finite(outcome: Outcome | Exception) -> Outcome | Exception:
    if isinstance(outcome, Exception) or np.isfinite(outcome.returns).all():
        return outcome
    episode = int(np.argmin(np.isfinite(outcome.returns)))
    text = f"the environment gave a return of {outcome.returns[episode]} in episode {episode} of the evaluation"
    return RunError(text)
