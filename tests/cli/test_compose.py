"""Composition of jobs: configs, folders and files equal those of Hydra."""

import copy
import math
import random
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

from pgexp.cli.command_state import new_state
from pgexp.cli.compose import Composer, JobPlanner, YamlText, plan_jobs, run_config
from pgexp.runs.secrets import mask_hydra_files
from pgexp.schema.errors import UserError
from tests.cli.hydra_sweeps import Sweep, begun
from tests.cli.random_jobs import random_jobs
from tests.tiers import tiered

T = TypeVar("T")


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """A sweep in a new working directory."""
    monkeypatch.chdir(tmp_path)
    with new_state(), begun(tmp_path, "hydra.sweep.dir=sweep") as made:
        yield made


@dataclass(frozen=True)
class Planned:
    """Files, result and config of a planned job."""

    files: Mapping[str, bytes]
    told: JobReturn | None
    outcome: Any  # its typed config, or an error


def by_hydra(sweep: Sweep, lines: Sequence[str], number: int) -> tuple[DictConfig, Planned]:
    """Plan a job with Hydra's functions only. Return the composed config and the planned job."""
    config = composed_by_hydra(sweep, lines, number)
    composed = copy.deepcopy(config)
    before = HydraConfig.instance().cfg
    told = run_job(lambda _: None, config, "hydra.sweep.dir", "hydra.sweep.subdir", sweep.context, False)
    folder = Path(config.hydra.runtime.output_dir)
    HydraConfig.instance().set_config(config)
    try:
        assert told.cfg is not None
        outcome: Any = run_config(told.cfg, config.hydra.runtime.choices)
    except UserError as error:
        outcome = str(error)
    HydraConfig.instance().cfg = before
    mask_hydra_files(folder, ".hydra")
    return composed, Planned(take_files(folder), told, outcome)


def composed_by_hydra(sweep: Sweep, lines: Sequence[str], number: int) -> DictConfig:
    config = sweep.loader.load_sweep_config(sweep.master, list(lines))
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    return config


def by_folders(folders: JobPlanner, config: DictConfig) -> Planned:
    try:
        job, told = folders.plan(config)
    except UserError as error:
        return Planned(take_files(Path(config.hydra.runtime.output_dir)), None, str(error))
    assert str(job.folder) == config.hydra.runtime.output_dir
    return Planned(take_files(job.folder), told, job.config)


def take_files(folder: Path) -> Mapping[str, bytes]:
    """Return all files of a folder, and remove it."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    return files


@pytest.mark.parametrize("choices", tiered([1, 10], lambda choices: choices == 1))
def test_random_jobs_are_planned_as_by_hydra(sweep: Sweep, choices: int) -> None:
    composer, folders = Composer(sweep.loader, sweep.master), JobPlanner(sweep.context)
    right = 0
    for number, lines in enumerate(random_jobs(seed=0, choices=choices, each=5)):
        expected, wrong = result_or_error(lambda job=(lines, number): by_hydra(sweep, *job))
        if expected is None:
            assert result_or_error(lambda job=(lines, number): composer.compose(*job)) == (None, wrong), lines
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


def result_or_error(work: Callable[[], T]) -> tuple[T | None, str]:
    """Return the result of a function, or the error that it raises."""
    try:
        return work(), ""
    except Exception as error:
        return None, f"{type(error)}: {error}"


def state(node: Node) -> Any:
    """Return the complete state of a config: types, metadata, flags and values of its nodes."""
    inner = node._value()
    if isinstance(inner, dict):
        inner = {name: state(each) for name, each in inner.items()}
    elif isinstance(inner, list):
        inner = [state(each) for each in inner]
    about = node._metadata
    return type(node), about.ref_type, about.object_type, about.optional, about.key, about.flags, repr(inner)


class Counting(ConfigLoaderImpl):
    """Hydra's loader with a counter of composed jobs."""

    composed = 0

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        self.composed += 1
        return super().load_sweep_config(master_config, sweep_overrides)


def test_one_composition_per_choice_of_options(sweep: Sweep) -> None:
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


def test_interpolation_of_choices_fails_as_in_hydra(sweep: Sweep) -> None:
    lines = ["experiment=told", "baseline=mean", "~registry.name=mean"]
    composer = Composer(sweep.loader, sweep.master)
    wrong = result_or_error(lambda: composed_by_hydra(sweep, lines, 0))
    assert "Error merging override ~registry.name=mean" in wrong[1]
    assert result_or_error(lambda: composer.compose(lines, 0)) == wrong
    assert composer.compose([*lines[:2], "registry.name=mean"], 0).registry.name == "mean"


class Heard(Callback):
    """A user's callback that records the jobs."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.ended: list[tuple[int, Any]] = []

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self.began.append(config.hydra.job.num)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        assert job_return.cfg is not None
        self.ended.append((HydraConfig.get().job.num, job_return.cfg.seed))


def test_callbacks_are_called_per_job(sweep: Sweep) -> None:
    jobs = [["seed=3", "+env.kwargs.token=abc"], ["seed=4", "registry.name='number ${hydra:job.num}'"]]
    unheard = [(job.config, take_files(job.folder)) for job, _ in plan_jobs(sweep.context, sweep.master, jobs, 7)]
    heard = Heard()
    sweep.context.callbacks.callbacks.append(heard)
    found = [(job.config, take_files(job.folder)) for job, _ in plan_jobs(sweep.context, sweep.master, jobs, 7)]
    assert found == unheard
    assert (heard.began, heard.ended) == ([7, 8], [(7, 3), (8, 4)])
    assert found[1][0].registry.name == "number 8"


def test_job_return_equals_hydras_without_configs(sweep: Sweep) -> None:
    lines = ["seed=3", "hydra.job.chdir=true"]
    _, expected = by_hydra(sweep, lines, 5)
    ((_, told),) = plan_jobs(sweep.context, sweep.master, [lines], 5)
    assert expected.told is not None
    named = ("overrides", "working_dir", "task_name", "status", "return_value")
    assert {name: getattr(told, name) for name in named} == {name: getattr(expected.told, name) for name in named}
    assert told.status == JobStatus.COMPLETED
    assert told.working_dir == "sweep/5"
    assert told.cfg is told.hydra_cfg is None


@pytest.mark.parametrize("callbacks", [[], [Callback()]], ids=["unheard", "heard"])
def test_secrets_are_not_in_hydra_files(sweep: Sweep, callbacks: list[Callback]) -> None:
    sweep.context.callbacks.callbacks.extend(callbacks)
    lines = ["hydra.output_subdir=said", "+env.kwargs.token=s3cr3t", "tracking.uri=http://a:s3cr3t@b"]
    ((job, _),) = plan_jobs(sweep.context, sweep.master, [lines], 0)
    files = take_files(job.folder)
    assert set(files) == {"said/config.yaml", "said/hydra.yaml", "said/overrides.yaml"}
    assert not [name for name, content in files.items() if b"s3cr3t" in content]
    assert job.config.env.kwargs == {"token": "s3cr3t"}


def test_no_hydra_files_without_an_output_subdir(sweep: Sweep) -> None:
    ((job, _),) = plan_jobs(sweep.context, sweep.master, [["hydra.output_subdir=null"]], 0)
    assert list(job.folder.iterdir()) == []


KEYS: tuple[Any, ...] = (
    *("a", "b_1", "on", "null", "~", "1", "a b", "a: b", "#", "", "é", "- x", "k" * 64, "k" * 65, "k" * 150, "k" * 200),
    *(2, True, 1.5),
)
VALUES: tuple[Any, ...] = (
    *(0, 1, True, False, None, 0.0, -0.0, 1.0, 1e-300, math.inf, math.nan, "1", "1.0", "true", "null", "", " ", "~"),
    *("a: b", "a #b", "- a", "it's", 'say "so"', "back\\slash", "two\nlines", "\ttab", "é日本", "\U0001f600"),
    *("${seed}", "???", "2024-01-02", "0x10", "1e3", "word " * 40, "x" * 200, "\u202e"),
    *([], {}, [1, [2, "yes"]], [{"a": {"b": []}}]),
)


def drawn(draw: random.Random, depth: int) -> dict[Any, Any]:
    """Return a random config. Its values often equal those of earlier ones."""
    keys = draw.sample(KEYS, draw.randint(0, 4))
    return {
        key: drawn(draw, depth - 1) if depth and draw.random() < 0.5 else copy.deepcopy(draw.choice(VALUES))
        for key in keys
    }


@pytest.mark.parametrize("seed", tiered(range(20), lambda seed: seed < 4))
def test_yaml_of_random_configs_in_sequence(seed: int) -> None:
    draw, texts = random.Random(seed), YamlText()
    for _ in range(30):
        config = drawn(draw, depth=3)
        assert texts.dump(config) == OmegaConf.to_yaml(config), config


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0.0, -0.0), ("1", 1), (None, "null"), ({}, [])])
def test_yaml_of_equal_values_of_other_types(before: Any, after: Any) -> None:
    texts = YamlText()
    for value in (before, after, before):
        assert texts.dump({"a": {"b": value}, "c": value}) == OmegaConf.to_yaml({"a": {"b": value}, "c": value})


def test_yaml_of_equal_keys_of_other_types() -> None:
    texts = YamlText()
    for config in ({"a": {1: 2}}, {"a": {True: 2}}, {"a": {1.0: 2}}):
        assert texts.dump(config) == OmegaConf.to_yaml(config)


def test_yaml_of_a_section_that_becomes_a_value() -> None:
    texts = YamlText()
    for config in ({"a": {"b": 1}}, {"a": 1}, {"a": {}}, {"a": {"b": {"c": 2}}}, {"a": None}, {"a": {"b": 1}}, {}):
        assert texts.dump(config) == OmegaConf.to_yaml(config)
