"""Trains a pack: all runs collect as one program, and each learns from its own batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgexp.functional.batch import Batch
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.collector import Collector
from pgexp.learning.learner import Learner
from pgexp.networks.parameters import Parameters


@dataclass(frozen=True)
class Update:
    """What one update of one run gave: its metrics, or why it can't go on."""

    run: int
    metrics: dict[str, float]
    failure: str | None = None


def train(collector: Collector, stacked: Parameters, learners: Sequence[Learner]) -> Iterator[list[Update]]:
    """Train until each run has spent its budget, yielding, round by round, an update of each run that is left.

    stacked: the runs' parameters, [R, ...], which the learners' own share memory with. A run that has spent its budget,
    or has diverged, leaves; the others go on, and their bits do not change. Whenever a round is yielded, each run
    stands between two updates.
    """
    active = [run for run, learner in enumerate(learners) if learner.progress < 1]
    while active:
        batches = collector.collect(stacked, active)
        updates = [_learnt(run, learners[run], batch) for run, batch in zip(active, batches, strict=True)]
        yield updates
        active = [update.run for update in updates if update.failure is None and learners[update.run].progress < 1]


def _learnt(run: int, learner: Learner, batch: Batch) -> Update:
    try:
        return Update(run, learner.learn(batch))
    except DivergenceError as reason:
        return Update(run, {}, failure=str(reason))
