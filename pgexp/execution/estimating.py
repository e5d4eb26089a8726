"""Tells beforehand what a sweep will take: its packs, their memory, and the time, from a trial of a second each."""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pgexp.execution.assembly import assemble
from pgexp.execution.command import at_work
from pgexp.execution.packing import packed
from pgexp.execution.plan import Job
from pgexp.execution.trying import try_out
from pgexp.learning.trainer import train
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import structure_key
from pgexp.schema.sweep import Settings

_TRIAL = 1.0  # seconds at least that a pack of each structure trains, by its own clock; an update is always finished


@dataclass(frozen=True)
class PackEstimate:
    """What a pack will take."""

    configs: Sequence[RunConfig]
    memory: int  # bytes, its worker's own included
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What a sweep will take."""

    packs: Sequence[PackEstimate]
    workers: int  # that train at once; at least one

    @property
    def memory(self) -> int:
        """The bytes of the largest packs that train at once."""
        return sum(sorted((pack.memory for pack in self.packs), reverse=True)[: self.workers])

    @property
    def seconds(self) -> float:
        """The time until the last worker is done, each taking the next pack as soon as it is free."""
        free = [0.0] * self.workers
        for pack in self.packs:
            heapq.heapreplace(free, free[0] + pack.seconds)
        return max(free)


def estimate(jobs: Sequence[Job], settings: Settings) -> Estimate:
    """Return what the jobs will take; a pack of each structure trains for a second, and is forgotten.

    The times are of training alone, at the rate of its beginning: evaluation comes on top, and episodes get longer.
    Raises ConfigError where a job can't be built.
    """
    torch.set_num_threads(1)
    configs = [job.config for job in jobs]
    with at_work(settings.workers) as workers:
        footprints = [trial.footprint for trial in try_out(configs)]
        packs = packed(jobs, footprints, workers.count, settings.sweep)
        count = max(1, workers.count)
    tried: dict[tuple[object, ...], float] = {}
    found = []
    for pack in packs:
        of_pack = [configs[index] for index in pack.indices]
        alike = structure_key(of_pack[0]), *sorted(str(config.budget) for config in of_pack)
        if alike not in tried:
            tried[alike] = _seconds(of_pack)
        found.append(PackEstimate(of_pack, pack.memory, tried[alike]))
    return Estimate(found, count)


def _seconds(configs: Sequence[RunConfig]) -> float:
    """Return how long a pack trains, from the budget that its first run spends in a second."""
    run = assemble(configs[0])
    begun, elapsed = time.perf_counter(), 0.0
    try:
        for _ in train(run.collector, run.learner):
            elapsed = time.perf_counter() - begun
            if elapsed >= _TRIAL and run.learner.progress > 0:
                break
    except Exception:  # it fails at once, as it will in the sweep
        return 0.0
    finally:
        run.close()
    return elapsed * len(configs) / run.learner.progress
