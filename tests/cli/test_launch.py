"""Grid sweeper and launcher: from values to jobs in training."""

from collections.abc import Iterator, Sequence
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
from pgexp.cli.command_state import new_state
from pgexp.cli.sweep import launch
from pgexp.execution import training
from pgexp.execution.jobs import Job
from pgexp.execution.results import RunResult, SweepResult
from pgexp.runs.manifest import SweepManifest, Tracking
from pgexp.runs.run_log import End, RunState
from pgexp.schema.errors import UserError
from pgexp.schema.sweep import Settings
from pgexp.tracking.exporter import ExporterState
from tests.cli.hydra_sweeps import Sweep, begun
from tests.tiers import tiered


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Job], Path]]:
    """The jobs and folders that were trained. Scores are the seeds."""
    launched: list[tuple[Sequence[Job], Path]] = []

    def train_sweep(jobs: Sequence[Job], folder: Path, settings: Settings, console: Console) -> SweepResult:
        launched.append((jobs, folder))
        ended = End(RunState.FINISHED, 1, complete=True)
        results = [RunResult(job.folder, ended, {"final/return_mean": float(job.config.seed)}) for job in jobs]
        tracking = Tracking("sqlite:///nowhere.db", "pgexp", 1)
        return SweepResult(
            results, SweepManifest(folder, "sweep", "a sweep", "pgexp", tracking, (), {}), ExporterState("done")
        )

    monkeypatch.setattr(training, "train_sweep", train_sweep)
    return launched


@pytest.fixture(autouse=True)
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory."""
    (tmp_path / "called").mkdir()
    monkeypatch.chdir(tmp_path / "called")
    with new_state():
        yield tmp_path / "called"


@pytest.mark.parametrize("place", ["sweep", "../sweep", "a/../sweep"])
def test_launch_trains_jobs_in_their_folders(
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
        ("${hydra.job.num}", [], "at least one run"),
        ("same", [["seed=1"], ["seed=2"]], "must differ between the runs"),
        ("../${hydra.job.num}", [["seed=1"]], "must be inside the sweep's folder"),
        ("${hydra.job.num}", [["seed=1"], ["seed=-1"]], r"seed: must be a whole number at least 0 \(got -1\)"),
        ("${hydra.job.num}", [["seed=1"], ["seed=${sed}"]], "seed: Interpolation key 'sed' not found"),
    ],
)
def test_launch_trains_nothing_if_a_job_is_wrong(
    subdir: str, jobs: list[list[str]], wrong: str, tmp_path: Path, trained: list[tuple[Sequence[Job], Path]]
) -> None:
    with (
        begun(tmp_path, "hydra.sweep.dir=sweep", f"hydra.sweep.subdir={subdir}") as sweep,
        pytest.raises(UserError, match=wrong),
    ):
        launch(sweep.context, sweep.master, jobs, 0)
    assert trained == []


class Recording(Launcher):
    """Launcher that only records its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[list[str]], int]] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Do nothing."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        self.batches.append(([[*job] for job in job_overrides], initial_job_idx))
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=job[0]) for job in job_overrides]


def swept(sweeper: Sweeper, sweep: Sweep, attribute: str, line: str) -> tuple[Recording, object, bytes]:
    """Return the launcher, the results and the written file of a sweeper. Arguments are separated by semicolons."""
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
def test_grid_equals_hydras_basic_sweeper(
    small: Sweep, size: int | None, params: dict[str, str] | None, line: str
) -> None:
    basic = Plugins.instance().class_name_to_class["hydra._internal.core_plugins.basic_sweeper.BasicSweeper"]
    expected, *same = swept(basic(size, params), small, "launcher", line)
    found, *results_and_file = swept(GridSweeper(size, params), small, "_launcher", line)
    assert found.batches == expected.batches
    assert results_and_file == same


def test_interval_is_not_a_grid(small: Sweep) -> None:
    with pytest.raises(HydraException, match="does not support sweep type"):
        swept(GridSweeper(None), small, "_launcher", "optimizer.lr=interval(0,1)")


def test_grid_sweeper_does_not_compose(small: Sweep) -> None:
    found, _, _ = swept(GridSweeper(None), small, "_launcher", "no.such.key=1,2")
    assert found.batches == [([["no.such.key=1"], ["no.such.key=2"]], 0)]
