"""Runs that are trained and recorded without MLflow."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pgexp.algorithms.evaluator import EvaluationResult
from pgexp.execution.experiment import Interrupts, open_experiment
from pgexp.execution.jobs import Job
from pgexp.execution.manifest import write_manifest
from pgexp.execution.validation import validate
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.sweep import Settings, Sweep

# Settings of a sweep that is trained in the command's process.
SETTINGS = Settings(Sweep(), Option("pgexp.execution.workers.local.LocalWorkers", {"processes": 0}))


def train(job: Job) -> EvaluationResult | None:
    """Train a job from its last checkpoint; return its final evaluation. Raises KeyboardInterrupt after a signal."""
    experiment = open_experiment(job)
    if experiment is None:
        return None
    with experiment, Interrupts() as interrupts:
        for _ in experiment:
            if interrupts.noted():
                raise KeyboardInterrupt
    return experiment.final_evaluation


def recorded(configs: Sequence[RunConfig], folder: Path, sweep: bool = False) -> list[Path]:
    """Train and record runs, each in a folder inside the sweep's, or a single run in the folder itself."""
    jobs = [Job(config, folder / str(number) if sweep else folder) for number, config in enumerate(configs)]
    write_manifest(jobs, validate(configs), folder, SETTINGS if sweep else None)
    for job in jobs:
        with suppress(KeyboardInterrupt):
            train(job)
    return [job.folder for job in jobs]
