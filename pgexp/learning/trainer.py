"""Trains a pack: all runs collect as one program, and each learns from its own batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def train(collector: Collector, stacked: Parameters, learners: Sequence[Learner]) -> Iterator[Update]:
    """Train until each run has spent its budget, yielding each run's updates as they are done.

    stacked: the runs' parameters, [R, ...], which the learners' own share memory with. A run that has spent its budget,
    or has diverged, leaves; the others go on, and their bits do not change.
    """
    active = list(range(len(learners)))
    while active:
        for run, batch in zip(active, collector.collect(stacked, active), strict=True):
            try:
                yield Update(run, learners[run].learn(batch))
            except DivergenceError as reason:
                active = [other for other in active if other != run]
                yield Update(run, {}, failure=str(reason))
        active = [run for run in active if learners[run].progress < 1]
