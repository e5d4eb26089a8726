"""Estimate of the time that a sweep takes, from one second of training per kind of run."""

import heapq
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pgexp.execution.assembly import assemble
from pgexp.execution.plan import Job
from pgexp.execution.training import at_work
from pgexp.execution.validation import validate
from pgexp.learning.trainer import train
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import deciding
from pgexp.schema.sweep import Settings

_TRIAL = 1.0  # seconds that a run of each kind trains


@dataclass(frozen=True)
class RunEstimate:
    """Estimate of the seconds that a run trains."""

    config: RunConfig
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """Estimate of a sweep: its runs, and how many train at once."""

    runs: Sequence[RunEstimate]
    workers: int

    @property
    def seconds(self) -> float:
        """The time until the last worker is done, if each takes the longest waiting run once it is free."""
        free = [0.0] * self.workers
        for run in sorted(self.runs, key=lambda run: -run.seconds):
            heapq.heapreplace(free, free[0] + run.seconds)
        return max(free)


def estimate(jobs: Sequence[Job], settings: Settings) -> Estimate:
    """Return the estimate of the jobs. A run of each kind trains for a second, and is thrown away.

    The times are of training alone, at its first second's speed: evaluation is not included, and episodes may get
    longer. Raises ConfigError if a job cannot be built.
    """
    torch.set_num_threads(1)
    configs = [job.config for job in jobs]
    with at_work(settings.workers) as workers:
        validate(configs)
        count = max(1, workers.count)
    known: dict[str, float] = {}
    found = []
    for config in configs:
        kind = _kind(config)
        if kind not in known:
            known[kind] = _seconds(config)
        found.append(RunEstimate(config, known[kind]))
    return Estimate(found, count)


def _kind(config: RunConfig) -> str:
    """Return what runs of equal speed share: all of the config except the seed and fractional numbers."""
    fields = deciding(config)
    del fields["seed"]
    return json.dumps(_without_fractions(fields), sort_keys=True)


def _without_fractions(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_fractions(item) for name, item in value.items()}
    return None if isinstance(value, float) else value


def _seconds(config: RunConfig) -> float:
    """Return how long a run trains, from the share of its budget that it spends in a second.

    The first update does not count if there are more: what is done once is part of it.
    """
    run = assemble(config)
    marks = [(time.perf_counter(), 0.0)]  # time and progress
    try:
        for _ in train(run.collector, run.learner):
            marks.append((time.perf_counter(), run.learner.progress))
            if marks[-1][0] - marks[1][0] >= _TRIAL and marks[-1][1] > marks[1][1]:
                break
    except Exception:  # it fails in the sweep, too
        return 0.0
    finally:
        run.close()
    begun, before = marks[1] if len(marks) > 2 else marks[0]
    ended, progress = marks[-1]
    return (ended - begun) / (progress - before)
