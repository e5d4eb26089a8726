"""Trial builds of configurations before anything is recorded, and the estimate of a sweep's training time."""

import heapq
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from pgexp.execution.assembly import Run, assemble, instantiate
from pgexp.execution.jobs import Job
from pgexp.execution.workers.base import Workers
from pgexp.schema import names
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import configuration_key, identity_fields
from pgexp.schema.sweep import Settings

Tags = dict[str, str]
"""MLflow tags of a run that follow from its build: its reward threshold, and the bias of its gradient estimate."""

_TRIAL_SECONDS = 1.0  # of training per kind of run


def validate(configs: Sequence[RunConfig]) -> list[Tags]:
    """Build a run of each configuration, which compiles its kernels; return the tags of each. Raises UserError."""
    found: dict[tuple[str, bool], Tags] = {}
    tags = []
    for config in configs:
        key = configuration_key(config), config.evaluation.video  # a video is not part of the key
        if key not in found:
            with closing(assemble(config)) as run:
                found[key] = build_tags(run)
        tags.append(found[key])
    return tags


def build_tags(run: Run) -> Tags:
    """Return the tags of a run."""
    tags = {}
    if run.env.reward_threshold is not None:
        tags[names.TAG_THRESHOLD] = str(run.env.reward_threshold)
    biases = run.trainer.algorithm.bias_sources(run.trainer.state.baseline)
    if biases:
        tags[names.TAG_BIASED] = ", ".join(biases)
    return tags


@dataclass(frozen=True)
class RunEstimate:
    """Estimate of a run's training time in seconds."""

    config: RunConfig
    seconds: float


@dataclass(frozen=True)
class SweepEstimate:
    """Estimates of a sweep's runs, and the number of runs that train at once."""

    runs: Sequence[RunEstimate]
    workers: int

    @property
    def seconds(self) -> float:
        """The time until the last worker is done, if each takes the longest waiting run when it is free."""
        free = [0.0] * self.workers
        for run in sorted(self.runs, key=lambda run: -run.seconds):
            heapq.heapreplace(free, free[0] + run.seconds)
        return max(free)


def estimate(jobs: Sequence[Job], settings: Settings) -> SweepEstimate:
    """Return the estimate of a sweep, after training a run of each kind for a second. Nothing is recorded.

    Evaluation is not included, and the speed is that of the first second, although episodes may become longer. Raises
    UserError if a job cannot be built.
    """
    torch.set_num_threads(1)
    configs = [job.config for job in jobs]
    workers: Workers = instantiate("workers", settings.workers, Workers)
    with closing(workers):
        validate(configs)
        count = max(1, workers.count)
    seconds: dict[str, float] = {}
    runs = []
    for config in configs:
        kind = _kind(config)
        if kind not in seconds:
            seconds[kind] = _measure_seconds(config)
        runs.append(RunEstimate(config, seconds[kind]))
    return SweepEstimate(runs, count)


def _kind(config: RunConfig) -> str:
    """Return the part of a config that runs of equal speed share: all except the seed and fractional numbers."""
    fields = identity_fields(config)
    del fields["seed"]
    return json.dumps(_without_fractions(fields), sort_keys=True)


def _without_fractions(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_fractions(item) for name, item in value.items()}
    return None if isinstance(value, float) else value


def _measure_seconds(config: RunConfig) -> float:
    """Return the training time of a run, from the share of its budget that it spends in a second.

    The first update, which includes one-time work, is not counted if there are more.
    """
    run = assemble(config)
    marks = [(time.perf_counter(), 0.0)]  # time and progress
    try:
        for _ in run.trainer.train():
            marks.append((time.perf_counter(), run.trainer.progress))
            if marks[-1][0] - marks[1][0] >= _TRIAL_SECONDS and marks[-1][1] > marks[1][1]:
                break
    except Exception:  # the run will fail in the sweep, too
        return 0.0
    finally:
        run.close()
    start, progress_at_start = marks[1] if len(marks) > 2 else marks[0]
    end, progress = marks[-1]
    return (end - start) / (progress - progress_at_start)
