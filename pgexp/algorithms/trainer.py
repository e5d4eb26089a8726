"""Trainer of one run: its updates, learning rate, budget and counters, and its state for checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from pgexp.algorithms.algorithm import Algorithm, TrainState
from pgexp.algorithms.collector import Collector
from pgexp.algorithms.errors import ReplayError, StateError
from pgexp.algorithms.rollout import RolloutState
from pgexp.algorithms.schedules import Schedule
from pgexp.baselines.baseline import Baseline
from pgexp.functional.batch import Batch
from pgexp.functional.normalization import Moments
from pgexp.functional.trees import Tree, from_tree, to_tree
from pgexp.schema import names
from pgexp.schema.config import Budget

_COUNTERS = ("steps", "episodes", "updates")


@dataclass(frozen=True)
class SavedState:
    """Everything that changes in a run, as trees. Random streams are keyed by counters and have no other state."""

    counters: Tree  # steps, episodes, updates
    parameters: Tree  # by name, with the observation normalizer's statistics
    optimizer: Tree
    baseline: Tree  # its state attributes
    algorithm: Tree
    observation_moments: Tree
    environments: Tree  # a RolloutState


@dataclass
class RunTrainer:
    """Trains a run: collects batches and learns from them until the budget is spent."""

    state: TrainState
    collector: Collector
    algorithm: Algorithm
    schedule: Schedule
    budget: Budget
    observation_moments: Moments  # of past batches
    steps: int = 0
    episodes: int = 0
    updates: int = 0

    def __post_init__(self) -> None:
        """Save the optimizer's learning rate as its initial one, as torch's schedulers do."""
        for group in self.state.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    @property
    def progress(self) -> float:
        """The spent share of the budget, from 0 to 1."""
        if self.budget.steps is not None:
            return min(1.0, self.steps / self.budget.steps)
        assert self.budget.episodes is not None  # the config has one of the two
        return min(1.0, self.episodes / self.budget.episodes)

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate at a progress: the optimizer's initial one times the schedule's factor."""
        initial: float = self.state.optimizer.param_groups[0]["initial_lr"]
        return initial * self.schedule(progress)

    def train(self) -> Iterator[dict[str, float]]:
        """Update until the budget is spent; yield each update's metrics.

        The run is between two updates at each yield. Raises what the environment, the baseline, the algorithm or the
        optimizer raises.
        """
        while self.progress < 1:
            yield self.update()

    def update(self) -> dict[str, float]:
        """Collect a batch and learn from it; return the update's metrics. Raises DivergenceError."""
        learning_rate = self.learning_rate(self.progress)
        for group in self.state.optimizer.param_groups:
            group["lr"] = learning_rate
        batch, metrics = self.algorithm.update(self.state, self.collector, self.progress)
        self._merge_observations(batch)
        self.steps += batch.steps
        self.episodes += int((~batch.open).sum())
        self.updates += 1
        counters = {names.LEARNING_RATE: learning_rate, names.UPDATES: self.updates, names.EPISODES: self.episodes}
        return _episode_metrics(batch) | metrics | counters

    def save(self) -> SavedState:
        """Return a copy of the run's state. Raises StateError if an attribute of its baseline cannot be saved."""
        state = self.state
        return SavedState(
            counters={name: getattr(self, name) for name in _COUNTERS},
            parameters=to_tree(state.parameters),
            optimizer=to_tree(state.optimizer),
            baseline={name: _attribute_tree(state.baseline, name) for name in state.baseline.state_attributes},
            algorithm=to_tree(state.algorithm_state),
            observation_moments=to_tree(self.observation_moments),
            environments=to_tree(self.collector.state()),
        )

    def restore(self, saved: SavedState) -> None:
        """Set a newly assembled run to a saved state.

        Raises StateError if it is another run's, and what an environment raises when it repeats an open episode.
        """
        baseline, algorithm_state = self.state.baseline, self.state.algorithm_state
        try:
            from_tree(self.state.parameters, saved.parameters)
            from_tree(self.state.optimizer, saved.optimizer)
            if saved.baseline.keys() != set(baseline.state_attributes):
                raise ValueError(f"of the baseline: {', '.join(saved.baseline) or 'nothing'}")
            for name, tree in saved.baseline.items():
                setattr(baseline, name, from_tree(getattr(baseline, name), tree))
            for name in (field.name for field in fields(algorithm_state)):
                setattr(algorithm_state, name, from_tree(getattr(algorithm_state, name), saved.algorithm[name]))
            self.observation_moments = from_tree(self.observation_moments, saved.observation_moments)
            for name in _COUNTERS:
                setattr(self, name, int(saved.counters[name]))
            environments = _matching(self.collector.state(), saved.environments)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise StateError(f"the saved state is not this run's: {error}") from error
        try:
            self.collector.restore(environments)
        except ReplayError as error:
            raise StateError(str(error)) from error

    def _merge_observations(self, batch: Batch) -> None:
        """Merge the batch into the statistics that normalize the next batch."""
        normalizer = self.state.policy.normalizer
        if normalizer.size is None:
            return
        observations = normalizer.cast(torch.from_numpy(batch.observations)).numpy()
        self.observation_moments = self.observation_moments.merged(observations)
        with torch.no_grad():
            for name, value in normalizer.statistics(self.observation_moments).items():
                self.state.parameters[name].copy_(value)


def state_fingerprints(baseline: Baseline) -> dict[str, str]:
    """Return a fingerprint of each attribute that is not in the baseline's `state_attributes`."""
    return {
        name: _fingerprint(value) for name, value in vars(baseline).items() if name not in baseline.state_attributes
    }


def require_state_attributes(baseline: Baseline, before: dict[str, str]) -> None:
    """Raise StateError if an attribute that is not declared differs from its fingerprint before the first update."""
    changed = [name for name, now in state_fingerprints(baseline).items() if before.get(name) != now]
    if changed:
        declared = ", ".join(f'"{name}"' for name in (*baseline.state_attributes, *changed))
        raise StateError(
            f"{type(baseline).__name__} changes {', '.join(changed)} during training, but does not declare it, so a "
            f"resumed run would lose it. Add to the class: state_attributes = ({declared},)"
        )


def _episode_metrics(batch: Batch) -> dict[str, float]:
    """Return the metrics of the episodes that ended in the batch; only the truncated ones' number if none did."""
    ended = ~batch.open
    metrics = {names.TRUNCATED: float(np.sum(batch.truncated))}
    if not ended.any():
        return metrics
    returns = batch.returns[ended]
    return metrics | {
        names.RETURN_MEAN: float(returns.mean()),
        names.RETURN_MIN: float(returns.min()),
        names.RETURN_MAX: float(returns.max()),
        names.EPISODE_LENGTH: float(batch.episode_lengths[ended].mean()),
    }


def _matching(state: RolloutState, tree: Tree) -> RolloutState:
    """Return the tree as a rollout's state. Raises ValueError if its arrays do not match those of `state`."""
    if not isinstance(tree, dict) or tree.keys() != state.keys():
        raise ValueError("of other environments")
    for name, array in state.items():
        rows = slice(1 if name == "actions" else 0, None)  # the number of actions depends on the episodes
        if tree[name].shape[rows] != array.shape[rows] or tree[name].dtype != array.dtype:
            raise ValueError(f"environments.{name} must have shape {array.shape} (got {tree[name].shape})")
    return dict(tree)


def _attribute_tree(baseline: Baseline, name: str) -> Tree:
    kind = type(baseline).__name__
    if not hasattr(baseline, name):
        raise StateError(f"{kind}.state_attributes names {name}, which is not an attribute")
    try:
        return to_tree(getattr(baseline, name))
    except TypeError as error:
        raise StateError(f"{kind}.state_attributes names {name}, which cannot be saved: {error}") from error


def _fingerprint(value: Any) -> str:
    try:
        return repr(_lists(to_tree(value)))
    except TypeError:
        return str(id(value))  # a network or a function: only another object is a change


def _lists(tree: Tree) -> Any:
    """Return the tree with arrays as lists, because the repr of a long array omits its middle."""
    if isinstance(tree, dict):
        return {key: _lists(item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_lists(item) for item in tree]
    return tree.tolist() if hasattr(tree, "tolist") else tree
