"""State of a run between two updates, as checkpoints hold it."""

from dataclasses import dataclass, fields

from pgexp.functional.trees import Tree, captured, restored
from pgexp.learning.collector import Collector
from pgexp.learning.failure import RunError
from pgexp.learning.learner import Learner
from pgexp.learning.rollout import Position, ReplayError


class StateError(RunError):
    """A state that belongs to another run, or that cannot be captured or restored."""


@dataclass(frozen=True)
class State:
    """Everything that changes in a run, as trees. Random streams are keyed by counters, so they have no other state."""

    counters: Tree  # steps, episodes, updates
    parameters: Tree  # by name, the observer's statistics included
    optimizer: Tree
    baseline: Tree  # its attributes in `remembered`
    traces: Tree
    seen: Tree  # the moments of past observations
    environments: Tree  # a Position


_COUNTERS = ("steps", "episodes", "updates")


def capture(learner: Learner, collector: Collector) -> State:
    """Return a copy of a run's state. Raises StateError if an attribute of its baseline cannot be held."""
    student = learner.student
    return State(
        counters={name: getattr(learner, name) for name in _COUNTERS},
        parameters=captured(student.parameters),
        optimizer=captured(student.optimizer),
        baseline={name: _captured_attribute(student.baseline, name) for name in student.baseline.remembered},
        traces=captured(student.traces),
        seen=captured(learner.seen),
        environments=captured(collector.position()),
    )


def restore(state: State, learner: Learner, collector: Collector) -> None:
    """Set a newly assembled run to a state.

    Raises StateError if the state belongs to another run, and what an environment raises as it repeats an open episode.
    """
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
        position = _fitting(collector.position(), state.environments)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise StateError(f"its state is not this run's: {error}") from error
    try:
        collector.restore(position)
    except ReplayError as error:
        raise StateError(str(error)) from error


def _fitting(position: Position, tree: Tree) -> Position:
    """Return the tree as a position. Raises ValueError if its arrays are not those of the rollout."""
    if not isinstance(tree, dict) or tree.keys() != position.keys():
        raise ValueError("of other environments")
    for name, array in position.items():
        rows = slice(1 if name == "actions" else 0, None)  # how many actions there are depends on the episodes
        if tree[name].shape[rows] != array.shape[rows] or tree[name].dtype != array.dtype:
            raise ValueError(f"environments.{name} has shape {tree[name].shape} in place of {array.shape}")
    return dict(tree)


def _captured_attribute(baseline: object, name: str) -> Tree:
    kind = type(baseline).__name__
    if not hasattr(baseline, name):
        raise StateError(f"{kind}.remembered names {name}, which it does not have")
    try:
        return captured(getattr(baseline, name))
    except TypeError as error:
        raise StateError(f"{kind}.remembered names {name}, which a checkpoint cannot hold: {error}") from error
