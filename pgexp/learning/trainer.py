"""Trains a pack: all runs collect as one program, and each learns from its own batch."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from pgexp.functional.batch import Batch
from pgexp.learning.collector import Collector
from pgexp.learning.failure import Failure
from pgexp.learning.learner import Learner
from pgexp.networks.parameters import Parameters


@dataclass(frozen=True)
class Update:
    """What one update of one run gave: its metrics, or why it can't go on."""

    run: int
    metrics: dict[str, float]
    failure: Failure | None = None


def train(
    collector: Collector, stacked: Parameters, learners: Sequence[Learner], given_up: Container[int] = ()
) -> Iterator[list[Update]]:
    """Train until each run has spent its budget, yielding, round by round, an update of each run that is left.

    stacked: the runs' parameters, [R, ...], which the learners' own share memory with. A run that has spent its budget,
    or has failed, leaves; the others go on, and their bits do not change. Whenever a round is yielded, each of them
    stands between two updates. `given_up` may be added to between two rounds: a run in it leaves, too.
    """
    active = [run for run, learner in enumerate(learners) if learner.progress < 1]
    while active:
        batches = collector.collect(stacked, active)
        updates = [_learnt(run, learners[run], batch) for run, batch in zip(active, batches, strict=True)]
        yield updates
        going_on = [update.run for update in updates if update.failure is None and update.run not in given_up]
        active = [run for run in going_on if learners[run].progress < 1]


def _learnt(run: int, learner: Learner, batch: Batch | Exception) -> Update:
    if isinstance(batch, Exception):
        return Update(run, {}, Failure.of(batch))
    try:
        return Update(run, learner.learn(batch))
    except (Exception, SystemExit) as error:  # of its algorithm, its baseline or its optimizer
        return Update(run, {}, Failure.of(error))
