"""What stands behind the launcher `packed`: plans a sweep's jobs and trains them together."""

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
from pgexp.cli.job_folders import planned
from pgexp.cli.streams import Terminal
from pgexp.execution.plan import Job
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.sweep import OF_SWEEPS, Settings, parse_settings
from pgexp.storage.hydra_files import mask_hydra_files
from pgexp.storage.store_uri import absolute_uri

if TYPE_CHECKING:
    from pgexp.execution.command import Known


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
    folder = Path(os.path.abspath(config.hydra.sweep.dir))  # noqa: PTH100 - as Hydra has the jobs' own, below it
    jobs, done = _planned(context, config, job_overrides, first, folder)
    known = _known(jobs[0], settings)
    if settings.sweep.dry_run:
        _tell_plan(jobs, folder, settings, known)
        sys.exit(0)

    from pgexp.cli.outcome import carried_out, fail
    from pgexp.execution.command import train_sweep

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
        text = "gives several runs one folder; let it hold what tells them apart, as ${hydra.job.num} does"
        raise ConfigError([Problem("hydra.sweep.subdir", text)])
    return [job for job, _ in found], [job_return for _, job_return in found]


def _known(job: Job, settings: Settings) -> Callable[[], "Known"]:
    """Return what says which runs have finished before; it is looked up while the caller goes on."""
    if settings.sweep.rerun:
        return dict
    tracking = job.config.tracking
    before = finished_before(absolute_uri(tracking.uri), tracking.experiment)
    return lambda: before.known


def _tell_plan(jobs: Sequence[Job], folder: Path, settings: Settings, known: Callable[[], "Known"]) -> None:
    from pgexp.cli.planned import tell_estimate
    from pgexp.execution.command import reusable
    from pgexp.execution.estimating import estimate

    console = Terminal(highlight=False)
    left = reusable(jobs, folder, settings, known(), console).left
    if left:
        tell_estimate(estimate([jobs[index] for index in left], settings), console)
