"""Launcher of a sweep: composes its jobs and trains them, or prints an estimate."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from rich.table import Table

from pgexp.cli.command_state import current_state
from pgexp.cli.compose import plan_jobs, shared_folder_error
from pgexp.cli.entrypoint import Terminal
from pgexp.cli.messages import FAILED
from pgexp.execution.jobs import Job
from pgexp.runs.secrets import mask_hydra_files
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import UserError
from pgexp.schema.sweep import SWEEP_KEYS, Settings, parse_settings


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Compose jobs and train them. Return each job's result with its score.

    A sweeper may launch several batches, whose jobs are numbered from `first`. Raises UserError before training if any
    job is wrong. A run that fails has no score. It ends the command only if `sweep.fail_fast` is set.
    """
    if not job_overrides:
        raise UserError.at("sweep", "must have at least one run. One of the keys has no values")
    settings = _settings(config, job_overrides)
    if settings.sweep.pruner != "none":
        text = f"is for searches only (got {settings.sweep.pruner}). Add hydra/sweeper=optuna"
        raise UserError.at("sweep.pruner", text)
    folder = Path(os.path.abspath(config.hydra.sweep.dir))  # noqa: PTH100 - like the jobs' folders, keeps links
    jobs, returns = _plan(context, config, job_overrides, first, folder)
    if settings.sweep.dry_run:
        from pgexp.execution.training import find_cached

        console = Terminal(highlight=False)
        new = find_cached(jobs, settings, console).new
        print_estimate([jobs[index] for index in new], settings)
        sys.exit(0)

    from pgexp.cli.training_report import train_and_report
    from pgexp.execution.training import train_sweep

    result = train_and_report(
        lambda console: train_sweep(jobs, folder, settings, console), folder, current_state().output_dirs
    )
    if result.has_failed:
        fail(at_once=settings.sweep.fail_fast)
    for job_return, run in zip(returns, result.results, strict=True):
        job_return.return_value = run.metrics.get(settings.sweep.objective.metric)
    return returns


def fail(at_once: bool) -> None:
    """Let the command end with exit code 1: at once, or after the remaining batches."""
    if at_once:
        sys.exit(FAILED)
    current_state().exit_code = FAILED


def _settings(config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> Settings:
    values: dict[str, set[str]] = {}
    for override in (override for overrides in job_overrides for override in overrides):
        values.setdefault(override.partition("=")[0], set()).add(override)
    for key in sorted(values):
        if key.partition(".")[0] in SWEEP_KEYS and len(values[key]) > 1:
            raise UserError.at(key, "must have one value, because it is a setting of the whole sweep")
    return parse_settings({key: OmegaConf.to_container(config[key], resolve=True) for key in SWEEP_KEYS})


def _plan(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int, folder: Path
) -> tuple[list[Job], list[JobReturn]]:
    """Return the jobs, and Hydra's result of each."""
    setup_globals()
    mask_hydra_files(folder, config.hydra.output_subdir)
    console = Terminal()
    planned = list(
        track(
            plan_jobs(context, config, job_overrides, first),
            f"planning {len(job_overrides):,} runs",
            len(job_overrides),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )
    if len({job.folder for job, _ in planned}) < len(planned):
        raise shared_folder_error()
    return [job for job, _ in planned], [job_return for _, job_return in planned]


def print_estimate(jobs: Sequence[Job], settings: Settings) -> None:
    """Print the runs of a sweep, one line per kind, and the estimated training time."""
    from pgexp.execution.progress import format_duration
    from pgexp.execution.validation import estimate

    if not jobs:
        return
    console, found = Terminal(highlight=False), estimate(jobs, settings)
    headings = ("runs", "environment", "network", "baseline", "batch", "budget", "time per run")
    table = Table(*headings, box=None, pad_edge=False)
    for column in table.columns:
        column.justify = "right" if column.header in ("runs", "budget", "time per run") else "left"
    lines = Counter(
        (*_cells(run.config), f"{run.seconds:.1f} s" if run.seconds < 10 else format_duration(run.seconds))
        for run in found.runs
    )
    for line, count in lines.items():
        table.add_row(f"{count:,}", *line)
    console.print(table)
    runs, steps = len(found.runs), sum(run.config.budget.steps or 0 for run in found.runs)
    total = f"{runs:,} runs" + (f", {steps:,} steps" if steps else "")
    text = f"{total}, {min(found.workers, runs)} at the same time: about {format_duration(found.seconds)} of training"
    console.print(f"{text}, without evaluations", soft_wrap=True)
    console.print("Nothing was trained or recorded, because of sweep.dry_run=true", soft_wrap=True)


def _cells(config: RunConfig) -> tuple[str, str, str, str, str]:
    batch, budget = config.batch, config.budget
    return (
        config.env.id,
        config.choices.get("network", config.network.name),
        config.choices.get("baseline", config.baseline.name),
        f"{batch.episodes} episodes" if batch.episodes else f"{config.num_envs} x {batch.steps} steps",
        f"{budget.steps:,} steps" if budget.steps is not None else f"{budget.episodes:,} episodes",
    )
