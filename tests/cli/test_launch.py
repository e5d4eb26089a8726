"""A sweep from its values to its jobs: the grid of them, and what the launcher hands on to be trained."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console

from hydra_plugins.pgexp_grid import GridSweeper
from pgexp.cli import keep
from pgexp.cli.sweep import launch
from pgexp.execution import training
from pgexp.execution.plan import Job
from pgexp.execution.report import Report, Result
from pgexp.execution.training import Known
from pgexp.schema.errors import ConfigError
from pgexp.schema.sweep import Settings
from pgexp.storage.record import Record, Tracking
from pgexp.storage.sink import SinkState
from pgexp.storage.spool import End
from tests.cli.begun_sweeps import Sweep, begun
from tests.tiers import tiered


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Job], Path]]:
    """What was handed on to be trained; the scores are the jobs' seeds."""
    handed: list[tuple[Sequence[Job], Path]] = []

    def train_sweep(
        jobs: Sequence[Job], folder: Path, settings: Settings, known: Callable[[], Known], console: Console
    ) -> Report:
        handed.append((jobs, folder))
        ended = End("FINISHED", 1, complete=True)
        results = [Result(job.folder, ended, {"final/return_mean": float(job.config.seed)}) for job in jobs]
        tracking = Tracking("sqlite:///nowhere.db", "pgexp", 1)
        return Report(results, Record(folder, "sweep", "a sweep", "pgexp", tracking, (), {}), SinkState("done"))

    monkeypatch.setattr(training, "train_sweep", train_sweep)
    return handed


@pytest.fixture(autouse=True)
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is called in."""
    (tmp_path / "called").mkdir()
    monkeypatch.chdir(tmp_path / "called")
    monkeypatch.setattr(keep, "_made", [])
    monkeypatch.setattr(keep, "_claimed", [])
    return tmp_path / "called"


@pytest.mark.parametrize("place", ["sweep", "../sweep", "a/../sweep"])
def test_jobs_are_handed_on_with_their_folders_below_the_sweep_s(
    place: str, tmp_path: Path, called: Path, trained: list[tuple[Sequence[Job], Path]]
) -> None:
    with begun(tmp_path, f"hydra.sweep.dir={place}", "hydra.sweep.subdir=run${hydra.job.num}") as sweep:
        done = launch(sweep.context, sweep.master, [["seed=7"], ["seed=9", "baseline=mean"]], 3)
    ((jobs, folder),) = trained
    assert folder == (tmp_path if place == "../sweep" else called) / "sweep"
    assert [job.folder for job in jobs] == [folder / "run3", folder / "run4"]
    assert [(job.config.seed, job.config.baseline.name) for job in jobs] == [(7, "ValueNetwork"), (9, "BatchMean")]
    assert [job.return_value for job in done] == [7.0, 9.0]
    assert [job.overrides for job in done] == [["seed=7"], ["seed=9", "baseline=mean"]]


@pytest.mark.parametrize(
    ("subdir", "jobs", "wrong"),
    [
        ("${hydra.job.num}", [], "a sweep over nothing"),
        ("same", [["seed=1"], ["seed=2"]], "several runs one folder"),
        ("../${hydra.job.num}", [["seed=1"]], "leads out of the folder"),
        ("${hydra.job.num}", [["seed=1"], ["seed=-1"]], "seed: given -1; must be a whole number at least 0"),
        ("${hydra.job.num}", [["seed=1"], ["seed=${sed}"]], "seed: Interpolation key 'sed' not found"),
    ],
)
def test_nothing_is_trained_where_a_job_cannot_be(
    subdir: str, jobs: list[list[str]], wrong: str, tmp_path: Path, trained: list[tuple[Sequence[Job], Path]]
) -> None:
    with (
        begun(tmp_path, "hydra.sweep.dir=sweep", f"hydra.sweep.subdir={subdir}") as sweep,
        pytest.raises(ConfigError, match=wrong),
    ):
        launch(sweep.context, sweep.master, jobs, 0)
    assert trained == []


class Recording(Launcher):
    """Launches nothing; keeps what it was told to."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[list[str]], int]] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Need nothing."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        self.batches.append(([[*job] for job in job_overrides], initial_job_idx))
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=job[0]) for job in job_overrides]


def swept(sweeper: Sweeper, sweep: Sweep, attribute: str, line: str) -> tuple[Recording, object, bytes]:
    """Return what a sweeper launches, returns, and writes down; semicolons part its arguments."""
    sweeper.setup(hydra_context=sweep.context, task_function=lambda _: None, config=sweep.master)
    launcher = Recording()
    setattr(sweeper, attribute, launcher)
    returned = [[job.return_value for job in batch] for batch in sweeper.sweep(line.split("; "))]
    return launcher, returned, Path("sweep", "multirun.yaml").read_bytes()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Sweep]:
    with begun(tmp_path, "hydra.sweep.dir=sweep") as sweep:
        yield sweep


PARAMS = {"seed": "range(3)", "optimizer.lr": "0.1,0.2"}
LINES = (
    "baseline=none,mean; seed=1,2",
    "network.widths=[1,2],[3]; +env.kwargs.g=choice('a b',c); ~budget.steps; dtype=float64",
    "baseline=glob(m*); optimizer.lr=range(0,1,0.25)",
)
FAST = ((LINES[0], PARAMS, 4), (LINES[1], None, None), (LINES[2], None, 1))


@pytest.mark.parametrize(
    ("line", "params", "size"), tiered(product(LINES, [None, PARAMS], [None, 1, 4, 100]), FAST.__contains__)
)
def test_the_grid_is_that_of_hydra_s_basic_sweeper(
    small: Sweep, size: int | None, params: dict[str, str] | None, line: str
) -> None:
    basic = Plugins.instance().class_name_to_class["hydra._internal.core_plugins.basic_sweeper.BasicSweeper"]
    expected, *same = swept(basic(size, params), small, "launcher", line)
    found, *told = swept(GridSweeper(size, params), small, "_launcher", line)
    assert found.batches == expected.batches
    assert told == same


def test_what_is_no_grid_is_refused(small: Sweep) -> None:
    with pytest.raises(HydraException, match="does not support sweep type"):
        swept(GridSweeper(None), small, "_launcher", "optimizer.lr=interval(0,1)")


def test_composing_is_the_launcher_s(small: Sweep) -> None:
    found, _, _ = swept(GridSweeper(None), small, "_launcher", "no.such.key=1,2")
    assert found.batches == [([["no.such.key=1"], ["no.such.key=2"]], 0)]
