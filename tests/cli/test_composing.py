"""Each job of a sweep is planned as Hydra composes it, though it is composed with others: config, folder and files."""

import copy
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, Node, OmegaConf, open_dict

from pgexp.cli import keep
from pgexp.cli.composing import Composer
from pgexp.cli.config import typed
from pgexp.cli.job_folders import JobFolders, planned
from pgexp.schema.errors import ConfigError
from pgexp.storage.hydra_files import mask_hydra_files
from tests.cli.begun_sweeps import Sweep, begun
from tests.cli.random_jobs import random_jobs
from tests.tiers import tiered

T = TypeVar("T")


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """A sweep in a folder of its own, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keep, "_made", [])
    monkeypatch.setattr(keep, "_claimed", [])
    with begun(tmp_path, "hydra.sweep.dir=sweep") as made:
        yield made


@dataclass(frozen=True)
class Planned:
    """What is known of a job once it is planned."""

    files: Mapping[str, bytes]
    told: JobReturn | None
    outcome: Any  # its typed config, or what is wrong with it


def by_hydra(sweep: Sweep, lines: Sequence[str], number: int) -> tuple[DictConfig, Planned]:
    """Plan a job by nothing but Hydra's own functions; return its config as it was composed, too."""
    config = composed_by_hydra(sweep, lines, number)
    composed = copy.deepcopy(config)
    before = HydraConfig.instance().cfg
    told = run_job(lambda _: None, config, "hydra.sweep.dir", "hydra.sweep.subdir", sweep.context, False)
    folder = Path(config.hydra.runtime.output_dir)
    HydraConfig.instance().set_config(config)
    try:
        assert told.cfg is not None
        outcome: Any = typed(told.cfg, config.hydra.runtime.choices)
    except ConfigError as error:
        outcome = str(error)
    HydraConfig.instance().cfg = before
    mask_hydra_files(folder, ".hydra")
    return composed, Planned(taken(folder), told, outcome)


def composed_by_hydra(sweep: Sweep, lines: Sequence[str], number: int) -> DictConfig:
    config = sweep.loader.load_sweep_config(sweep.master, list(lines))
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    return config


def by_folders(folders: JobFolders, config: DictConfig) -> Planned:
    try:
        job, told = folders.made(config)
    except ConfigError as error:
        return Planned(taken(Path(config.hydra.runtime.output_dir)), None, str(error))
    assert str(job.folder) == config.hydra.runtime.output_dir
    return Planned(taken(job.folder), told, job.config)


def taken(folder: Path) -> Mapping[str, bytes]:
    """Return all files of a folder, which is removed."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    return files


@pytest.mark.parametrize("choices", tiered([1, 10], lambda choices: choices == 1))
def test_random_jobs_are_planned_as_hydra_composes_and_runs_them(sweep: Sweep, choices: int) -> None:
    composer, folders = Composer(sweep.loader, sweep.master), JobFolders(sweep.context)
    right = 0
    for number, lines in enumerate(random_jobs(seed=0, choices=choices, each=5)):
        expected, wrong = tried(lambda job=(lines, number): by_hydra(sweep, *job))
        if expected is None:
            assert tried(lambda job=(lines, number): composer.compose(*job)) == (None, wrong), lines
            continue
        right += 1
        config = composer.compose(lines, number)
        assert state(config) == state(expected[0]), lines
        assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(expected[0]), lines
        found = by_folders(folders, config)
        assert repr(found.outcome) == repr(expected[1].outcome), lines  # of a NaN, too
        assert found.files == expected[1].files, lines
        assert set(found.files) == {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"}
    assert right >= 2.5 * choices


def tried(work: Callable[[], T]) -> tuple[T | None, str]:
    """Return what comes of some work, or else the error that it raises."""
    try:
        return work(), ""
    except Exception as error:
        return None, f"{type(error)}: {error}"


def state(node: Node) -> Any:
    """Return all that a config is made of: its nodes' types, what they may hold, their flags, and what they hold."""
    inner = node._value()
    if isinstance(inner, dict):
        inner = {name: state(each) for name, each in inner.items()}
    elif isinstance(inner, list):
        inner = [state(each) for each in inner]
    about = node._metadata
    return type(node), about.ref_type, about.object_type, about.optional, about.key, about.flags, repr(inner)


class Counting(ConfigLoaderImpl):
    """Hydra's loader, which counts the jobs that it composes."""

    composed = 0

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        self.composed += 1
        return super().load_sweep_config(master_config, sweep_overrides)


def test_jobs_that_differ_by_values_alone_are_composed_once_for_each_choice_of_options(sweep: Sweep) -> None:
    loader = Counting(sweep.loader.get_search_path())
    composer = Composer(loader, sweep.master)
    jobs = [
        [f"seed={seed}", f"baseline={baseline}", f"optimizer.lr={rate}", "+env.kwargs.gravity=3", "~budget.steps"]
        for seed in range(20)
        for baseline in ("none", "mean")
        for rate in (0.1, 0.2)
    ]
    configs = [composer.compose(lines, number) for number, lines in enumerate(jobs)]
    assert loader.composed == 2
    assert [config.hydra.job.num for config in configs] == [*range(80)]
    assert configs[79].seed == 19
    assert configs[79].baseline._target_ == "pgexp.baselines.mean.BatchMean"


def test_what_depends_on_a_choice_that_hydra_tells_only_later_is_refused_as_hydra_does(sweep: Sweep) -> None:
    lines = ["experiment=told", "baseline=mean", "~registry.name=mean"]
    composer = Composer(sweep.loader, sweep.master)
    wrong = tried(lambda: composed_by_hydra(sweep, lines, 0))
    assert "Error merging override ~registry.name=mean" in wrong[1]
    assert tried(lambda: composer.compose(lines, 0)) == wrong
    assert composer.compose([*lines[:2], "registry.name=mean"], 0).registry.name == "mean"


class Heard(Callback):
    """A user's callback, which listens to the jobs."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.ended: list[tuple[int, Any]] = []

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self.began.append(config.hydra.job.num)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        assert job_return.cfg is not None
        self.ended.append((HydraConfig.get().job.num, job_return.cfg.seed))


def test_callbacks_hear_of_each_job_and_change_nothing_else(sweep: Sweep) -> None:
    jobs = [["seed=3", "+env.kwargs.token=abc"], ["seed=4", "registry.name='number ${hydra:job.num}'"]]
    unheard = [(job.config, taken(job.folder)) for job, _ in planned(sweep.context, sweep.master, jobs, 7)]
    heard = Heard()
    sweep.context.callbacks.callbacks.append(heard)
    found = [(job.config, taken(job.folder)) for job, _ in planned(sweep.context, sweep.master, jobs, 7)]
    assert found == unheard
    assert (heard.began, heard.ended) == ([7, 8], [(7, 3), (8, 4)])
    assert found[1][0].registry.name == "number 8"


def test_what_hydra_returns_of_a_job_is_told_but_for_its_configs(sweep: Sweep) -> None:
    lines = ["seed=3", "hydra.job.chdir=true"]
    _, expected = by_hydra(sweep, lines, 5)
    ((_, told),) = planned(sweep.context, sweep.master, [lines], 5)
    assert expected.told is not None
    named = ("overrides", "working_dir", "task_name", "status", "return_value")
    assert {name: getattr(told, name) for name in named} == {name: getattr(expected.told, name) for name in named}
    assert told.status == JobStatus.COMPLETED
    assert told.working_dir == "sweep/5"
    assert told.cfg is told.hydra_cfg is None


@pytest.mark.parametrize("callbacks", [[], [Callback()]], ids=["unheard", "heard"])
def test_secrets_stay_out_of_the_files_wherever_they_are(sweep: Sweep, callbacks: list[Callback]) -> None:
    sweep.context.callbacks.callbacks.extend(callbacks)
    lines = ["hydra.output_subdir=said", "+env.kwargs.token=s3cr3t", "tracking.uri=http://a:s3cr3t@b"]
    ((job, _),) = planned(sweep.context, sweep.master, [lines], 0)
    files = taken(job.folder)
    assert set(files) == {"said/config.yaml", "said/hydra.yaml", "said/overrides.yaml"}
    assert not [name for name, content in files.items() if b"s3cr3t" in content]
    assert job.config.env.kwargs == {"token": "s3cr3t"}


def test_no_file_is_written_where_hydra_writes_none(sweep: Sweep) -> None:
    ((job, _),) = planned(sweep.context, sweep.master, [["hydra.output_subdir=null"]], 0)
    assert list(job.folder.iterdir()) == []
