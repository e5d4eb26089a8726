"""Launcher of a sweep: composes its jobs, and trains them."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from pgexp.cli.finished_before import finished_before
from pgexp.cli.job_folders import one_folder_for_several, planned
from pgexp.cli.streams import Terminal
from pgexp.execution.plan import Job
from pgexp.schema.config import Tracking
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.sweep import OF_SWEEPS, Settings, parse_settings
from pgexp.storage.hydra_files import mask_hydra_files
from pgexp.storage.store_uri import absolute_uri

if TYPE_CHECKING:
    from pgexp.execution.training import Known


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Compose the jobs, each with its own folder, and train them; return each one's score as its value.

    A sweeper may launch several batches. Raises ConfigError where any of the jobs can't run, before the first is
    trained; a run that fails has no score, and ends the command only if it is to fail fast.
    """
    if not job_overrides:
        raise ConfigError([Problem("sweep", "one of the values is a sweep over nothing, which has no runs")])
    settings = _settings(config, job_overrides)
    if settings.sweep.pruner != "none":
        text = f"given {settings.sweep.pruner}; pruning is for searches: add hydra/sweeper=optuna"
        raise ConfigError([Problem("sweep.pruner", text)])
    folder = Path(os.path.abspath(config.hydra.sweep.dir))  # noqa: PTH100 - as Hydra has the jobs' own, below it
    jobs, done = _planned(context, config, job_overrides, first, folder)
    known = known_runs(jobs[0].config.tracking, settings)
    if settings.sweep.dry_run:
        from pgexp.execution.training import reusable

        console = Terminal(highlight=False)
        print_plan([jobs[index] for index in reusable(jobs, folder, settings, known(), console).left], settings)
        sys.exit(0)

    from pgexp.cli.outcome import carried_out, fail
    from pgexp.execution.training import train_sweep

    report = carried_out(lambda console: train_sweep(jobs, folder, settings, known, console), folder)
    if report.has_failed:
        fail(at_once=settings.sweep.fail_fast)
    for job_return, result in zip(done, report.results, strict=True):
        job_return.return_value = result.values.get(settings.sweep.objective.metric)
    return done


def _settings(config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> Settings:
    for key in sorted({word.partition("=")[0] for words in job_overrides for word in words}):
        given = {word for words in job_overrides for word in words if word.partition("=")[0] == key}
        if key.partition(".")[0] in OF_SWEEPS and len(given) > 1:
            raise ConfigError([Problem(key, "is the whole sweep's, and has one value")])
    return parse_settings({key: OmegaConf.to_container(config[key], resolve=True) for key in OF_SWEEPS})


def _planned(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int, folder: Path
) -> tuple[list[Job], list[JobReturn]]:
    """Return the jobs, each with what Hydra has of it."""
    setup_globals()
    mask_hydra_files(folder, config.hydra.output_subdir)
    console = Terminal()
    found = list(
        track(
            planned(context, config, job_overrides, first),
            f"planning {len(job_overrides):,} runs",
            len(job_overrides),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )
    if len({job.folder for job, _ in found}) < len(found):
        raise one_folder_for_several()
    return [job for job, _ in found], [job_return for _, job_return in found]


def known_runs(tracking: Tracking, settings: Settings) -> Callable[[], "Known"]:
    """Return a function that returns the runs that have finished before; they are looked up at the same time."""
    if settings.sweep.rerun:
        return dict
    before = finished_before(absolute_uri(tracking.uri), tracking.experiment)
    return lambda: before.known


def print_plan(jobs: Sequence[Job], settings: Settings) -> None:
    """Print the jobs of a sweep, and the time that they take."""
    from pgexp.cli.planned import print_estimate
    from pgexp.execution.estimating import estimate

    if jobs:
        print_estimate(estimate(jobs, settings), Terminal(highlight=False))
