"""What stands behind the launcher `packed`: composes a sweep's jobs and trains them together."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from pgexp.cli.config import typed
from pgexp.cli.keep import claim
from pgexp.cli.streams import Terminal
from pgexp.execution.plan import Job
from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.files import require_below
from pgexp.storage.hydra_files import mask_hydra_files


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Compose the jobs, each with its own folder, and train them; return each one's score as its value.

    Raises ConfigError where any of them can't run, before the first is trained.
    """
    if not job_overrides:
        raise ConfigError([Problem("sweep", "one of the values is a sweep over nothing, which has no runs")])
    setup_globals()
    Terminal().print(f"runs to compose: {len(job_overrides)}", highlight=False)
    folder = Path(config.hydra.sweep.dir).absolute()
    mask_hydra_files(folder)
    composed = [_compose(context, config, overrides, first + i) for i, overrides in enumerate(job_overrides)]
    jobs = [_job(job) for job in composed]
    if len({job.folder for job in jobs}) < len(jobs):
        text = "gives several runs one folder; let it hold what tells them apart, as ${hydra.job.num} does"
        raise ConfigError([Problem("hydra.sweep.subdir", text)])

    from pgexp.cli.outcome import train_and_tell

    for job, score in zip(composed, train_and_tell(jobs, folder, sweep=True), strict=True):
        job.return_value = score
    return composed


def _compose(context: HydraContext, config: DictConfig, overrides: Sequence[str], number: int) -> JobReturn:
    """Compose one job by Hydra's own means, which write its `.hydra` folder; its task is to do nothing."""
    job = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        job.hydra.job.id = job.hydra.job.num = number
    claim(_folder(job), "hydra.sweep.subdir")
    done = run_job(
        hydra_context=context,
        task_function=lambda _: None,
        config=job,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        configure_logging=False,
    )
    done.status = JobStatus.COMPLETED
    mask_hydra_files(Path(job.hydra.sweep.dir, str(job.hydra.sweep.subdir)))
    return done


def _folder(job: DictConfig) -> Path:
    """Return a job's folder, which is the sweep's or below it."""
    name = str(job.hydra.sweep.subdir)
    try:
        require_below(name)
    except ValueError as error:
        raise ConfigError([Problem("hydra.sweep.subdir", f"{error}; a run's folder is below its sweep's")]) from error
    return Path(job.hydra.sweep.dir, name).absolute()


def _job(composed: JobReturn) -> Job:
    assert composed.cfg is not None  # it was composed
    assert composed.hydra_cfg is not None
    settings = composed.hydra_cfg.hydra
    run = typed(composed.cfg, settings.runtime.choices)
    return Job(run, Path(settings.runtime.output_dir))
