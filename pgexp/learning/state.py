"""A run's whole state between two updates: what a checkpoint holds, and all that it takes to go on to the same bits."""

from dataclasses import dataclass, fields

from pgexp.functional.trees import Tree, captured, restored
from pgexp.learning.collector import Collector
from pgexp.learning.failure import RunError
from pgexp.learning.learner import Learner
from pgexp.learning.rollout import ReplayError


class StateError(RunError):
    """A state that is not of this run, or that can't be captured or gone on from."""


@dataclass(frozen=True)
class State:
    """All that changes in a run, as trees. Its random streams are keyed, so counters are all that is left of them."""

    counters: Tree  # steps, episodes, updates
    parameters: Tree  # [1, ...] each, the observer's statistics included
    optimizer: Tree
    baseline: Tree  # the attributes that it remembers
    traces: Tree
    seen: Tree  # the moments of past observations
    slots: Tree  # a Position


_COUNTERS = ("steps", "episodes", "updates")


def capture(learner: Learner, collector: Collector, run: int) -> State:
    """Return a copy of the state of a pack's run. Raises StateError where its baseline remembers what can't be held."""
    student = learner.student
    return State(
        counters={name: getattr(learner, name) for name in _COUNTERS},
        parameters=captured(student.parameters),
        optimizer=captured(student.optimizer),
        baseline={name: _captured_attribute(student.baseline, name) for name in student.baseline.remembered},
        traces=captured(student.traces),
        seen=captured(learner.seen),
        slots=captured(collector.position(run)),
    )


def restore(state: State, learner: Learner, collector: Collector, run: int) -> None:
    """Set a pack's run, fresh from assembly, to where it stood. Raises StateError where the state is of another run."""
    student = learner.student
    try:
        restored(student.parameters, state.parameters)
        restored(student.optimizer, state.optimizer)
        if state.baseline.keys() != set(student.baseline.remembered):
            raise ValueError(f"of the baseline: {', '.join(state.baseline) or 'nothing'}")
        for name, tree in state.baseline.items():
            setattr(student.baseline, name, restored(getattr(student.baseline, name), tree))
        for name in (field.name for field in fields(student.traces)):
            setattr(student.traces, name, restored(getattr(student.traces, name), state.traces[name]))
        learner.seen = restored(learner.seen, state.seen)
        for name in _COUNTERS:
            setattr(learner, name, int(state.counters[name]))
        collector.restore(run, restored(collector.position(run), state.slots))
    except ReplayError as error:
        raise StateError(str(error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise StateError(f"its state is not this run's: {error}") from error


def _captured_attribute(baseline: object, name: str) -> Tree:
    kind = type(baseline).__name__
    if not hasattr(baseline, name):
        raise StateError(f"{kind}.remembered names {name}, which it has not")
    try:
        return captured(getattr(baseline, name))
    except TypeError as error:
        raise StateError(f"{kind}.remembered names {name}, which a checkpoint can't hold: {error}") from error
