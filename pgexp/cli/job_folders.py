"""Plans a sweep's jobs: composes each, makes its folder with the files that Hydra has there, and types its config."""

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from pgexp.cli.composing import Composer
from pgexp.cli.config import typed, typed_values
from pgexp.cli.keep import KeepRecordedRuns, claim
from pgexp.cli.yaml_text import YamlText, dumped
from pgexp.execution.plan import Job
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.files import require_below
from pgexp.storage.hydra_files import is_safe, mask_hydra_files, mask_yaml

_UNRESOLVED = re.compile(r"\$\{|\?\?\?")


def planned(
    context: HydraContext, master: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> Iterator[tuple[Job, JobReturn]]:
    """Yield each job with what Hydra has of it, numbered from `first`. Raises ConfigError where one can't be run."""
    composer, folders = Composer(context.config_loader, master), JobFolders(context)
    for number, overrides in enumerate(job_overrides, first):
        yield folders.made(composer.compose(overrides, number))


class JobFolders:
    """Makes the folders of jobs as Hydra's `run_job` does, which takes five times as long for each.

    Where callbacks of a user's own listen to the jobs, it is left to Hydra.
    """

    def __init__(self, context: HydraContext) -> None:
        self._context = context
        self._is_heard = not all(isinstance(each, KeepRecordedRuns) for each in context.callbacks.callbacks)
        self._config, self._hydra = YamlText(), YamlText()

    def made(self, config: DictConfig) -> tuple[Job, JobReturn]:
        """Make the folder of a composed job; return its typed config and what `run_job` returns of it.

        What `run_job` returns has the configs only where they are listened to: of ten thousand jobs they are a burden.
        """
        with _current(config):
            folder = _folder(config)
            claim(folder, "hydra.sweep.subdir")
            run, done = self._run_by_hydra(config) if self._is_heard else self._run(config, folder)
        done.status = JobStatus.COMPLETED
        return Job(run, folder), done

    def _run_by_hydra(self, config: DictConfig) -> tuple[RunConfig, JobReturn]:
        """Let Hydra run a job whose task is to do nothing."""
        done = run_job(
            hydra_context=self._context,
            task_function=lambda _: None,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            configure_logging=False,
        )
        assert done.cfg is not None  # it was run
        mask_hydra_files(Path(config.hydra.runtime.output_dir), config.hydra.output_subdir)
        return typed(done.cfg, config.hydra.runtime.choices), done

    def _run(self, config: DictConfig, folder: Path) -> tuple[RunConfig, JobReturn]:
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(folder)
        values = cast(dict[str, Any], OmegaConf.to_container(config, enum_to_str=True))
        hydra = values.pop("hydra")
        text = self._config.text(values)
        if hydra["output_subdir"] is not None:
            task = hydra["overrides"]["task"]
            _write(folder / hydra["output_subdir"], "config.yaml", values, text)
            _write(folder / hydra["output_subdir"], "hydra.yaml", {"hydra": hydra}, self._hydra.text({"hydra": hydra}))
            _write(folder / hydra["output_subdir"], "overrides.yaml", task, dumped(task))
        choices = hydra["runtime"]["choices"]
        run = typed(_task(config), choices) if _UNRESOLVED.search(text) else typed_values(values, choices)
        sweep, name = config.hydra.sweep, JobRuntime.instance().get("name")
        where = Path(sweep.dir, str(sweep.subdir)) if config.hydra.job.chdir else Path.cwd()
        return run, JobReturn(overrides=hydra["overrides"]["task"], working_dir=str(where), task_name=name)


def one_folder_for_several() -> ConfigError:
    """Return the error of several runs that have one folder."""
    text = "gives several runs one folder; let it hold what differs between them, such as ${hydra.job.num}"
    return ConfigError([Problem("hydra.sweep.subdir", text)])


@contextmanager
def _current(config: DictConfig) -> Iterator[None]:
    """Let a job's config be the one that `${hydra:...}` refers to."""
    instance = HydraConfig.instance()
    before = instance.cfg
    OmegaConf.set_readonly(config.hydra, True)
    instance.cfg = cast(Any, config)
    try:
        yield
    finally:
        instance.cfg = before


def _folder(job: DictConfig) -> Path:
    """Return a job's folder, which is the sweep's or below it."""
    name = str(job.hydra.sweep.subdir)
    try:
        require_below(name)
    except ValueError as error:
        raise ConfigError([Problem("hydra.sweep.subdir", f"{error}; a run's folder is below its sweep's")]) from error
    return Path(os.path.abspath(Path(job.hydra.sweep.dir, name)))  # noqa: PTH100 - as Hydra has it, links and all


def _task(config: DictConfig) -> DictConfig:
    """Return a config without Hydra's part, as a task is given it."""
    task = copy.deepcopy(config)
    with read_write(task), open_dict(task):
        del task["hydra"]
    return task


def _write(folder: Path, name: str, content: Mapping[str, Any] | Sequence[str], text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text if is_safe(content) else mask_yaml(text), encoding="utf-8")
