"""Training of a task's runs, from their checkpoints, while the command holds the lease."""

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from pgexp.execution import experiment
from pgexp.execution.experiment import open_experiment
from pgexp.execution.jobs import Job, Task
from pgexp.execution.run_writer import checkpoint_path
from pgexp.execution.workers import lease, worker
from pgexp.execution.workers.base import TaskExit
from pgexp.execution.workers.worker import run_task
from pgexp.runs.run_log import End, Row, RunLogReader
from tests.conftest import Compose
from tests.execution.own import mine
from tests.recorded_runs import train
from tests.streams import episode_seed

ENDLESS = ("budget.steps=1_000_000", "checkpoint.seconds=null")
LOST = "ConnectionResetError: [Errno 104] the simulator is gone"
MakeTask = Callable[..., Task]


@pytest.fixture
def make_task(clock: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTask:
    """Return a function that makes a task of three seeds and acquires the lease. Files are checked at each update."""
    monkeypatch.setattr(worker, "CHECK_SECONDS", 0.0)

    def made(*overrides: str) -> Task:
        lease.acquire(tmp_path, "ours")
        jobs = tuple(Job(clock(f"seed={seed}", *overrides), tmp_path / str(seed)) for seed in range(3))
        return Task("ours", 0, tmp_path, jobs, ())

    return made


def ends(*jobs: Job) -> list[tuple[str, str]]:
    """Return each run's last status and its reason."""
    last = [RunLogReader(job.folder / "rows.jsonl").read()[-1] for job in jobs]
    return [(item.status, item.reason) for item in last if isinstance(item, End)]


def rows(job: Job) -> list[Row]:
    return [item for item in RunLogReader(job.folder / "rows.jsonl").read() if isinstance(item, Row)]


def test_runs_are_trained_to_their_ends(make_task: MakeTask) -> None:
    task = make_task()
    assert run_task(task, os.getppid()) == TaskExit("done")
    assert ends(*task.jobs) == [("FINISHED", "")] * 3


def test_without_the_lease_nothing_is_trained(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task()
    lease.acquire(tmp_path, "another")
    assert run_task(task) == TaskExit("stopped")
    assert not any(job.folder.exists() for job in task.jobs)


def test_without_its_parent_nothing_is_trained(make_task: MakeTask) -> None:
    assert run_task(make_task(*ENDLESS), parent=-1) == TaskExit("stopped")


def test_a_lost_lease_stops_the_run_with_a_checkpoint(
    make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, answers = make_task(*ENDLESS), iter([True, True, False])
    monkeypatch.setattr(lease, "is_held", lambda folder, token: next(answers))
    assert run_task(task) == TaskExit("stopped")
    assert [row.steps for row in rows(task.jobs[0])] == [8, 16]
    assert ends(task.jobs[0]) == [("KILLED", "interrupted")]
    assert checkpoint_path(task.jobs[0].folder, "last").exists()
    assert not any(job.folder.exists() for job in task.jobs[1:])


def test_a_pruned_run_ends_and_the_next_one_trains(make_task: MakeTask) -> None:
    task = make_task()
    lease.prune(task.jobs[0].folder)
    assert run_task(task) == TaskExit("done")
    assert [status for status, _ in ends(*task.jobs)] == ["PRUNED", "FINISHED", "FINISHED"]
    assert [row.steps for row in rows(task.jobs[0])] == [8]


def test_only_the_run_whose_checkpoint_is_damaged_fails(make_task: MakeTask) -> None:
    task = make_task()
    checkpoint_path(task.jobs[1].folder, "last").parent.mkdir(parents=True)
    checkpoint_path(task.jobs[1].folder, "last").write_bytes(b"nonsense")
    assert run_task(task) == TaskExit("done")
    (first, (status, reason), last) = ends(*task.jobs)
    assert first == last == ("FINISHED", "")
    assert (status, "last.safetensors" in reason) == ("FAILED", True)


def test_runs_that_cannot_be_assembled_fail_with_the_reason(make_task: MakeTask) -> None:
    task = make_task("baseline=none", "algorithm.time_limit=bootstrap")
    assert run_task(task) == TaskExit("done")
    assert [status for status, _ in ends(*task.jobs)] == ["FAILED"] * 3
    assert all("time_limit" in reason for _, reason in ends(*task.jobs))
    assert (task.jobs[0].folder / "error.txt").exists()


def test_a_finished_run_is_not_trained_again(make_task: MakeTask) -> None:
    (job, *_) = make_task().jobs
    train(job)
    before = rows(job)
    train(job)
    assert rows(job) == before
    assert ends(job) == [("FINISHED", "")]


class TestSystemErrors:
    """An OSError of the record ends the worker; an OSError of an environment fails its run."""

    def test_of_the_record(self, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(folder: Path, key: str) -> None:
            raise OSError("the disk is gone")

        monkeypatch.setattr(experiment, "read_state", read)
        assert run_task(make_task()) == TaskExit("failed", "the disk is gone")

    def test_of_an_environment_in_training(self, make_task: MakeTask) -> None:
        task = make_task("+env.kwargs.deed=lose", f"+env.kwargs.when={episode_seed(1, 'env', 0, 2)}")
        assert run_task(task) == TaskExit("done")
        assert ends(*task.jobs) == [("FINISHED", ""), ("FAILED", LOST), ("FINISHED", "")]

    def test_of_an_environment_in_resuming(
        self, clock: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The checkpoint is in the middle of episodes, which the environment repeats."""
        segments = ("algorithm.batch.episodes=null", "algorithm.batch.steps=6", "env.num_envs=2", "baseline=value")
        job = Job(clock(*segments), tmp_path)
        started = open_experiment(job)
        assert started is not None
        with started:
            next(islice(started, 1))
        monkeypatch.setattr(mine.Clock, "step", lambda self, action: mine.lose())
        assert train(job) is None
        assert ends(job) == [("FAILED", LOST)]
        assert "in restore\n" in (job.folder / "error.txt").read_text()
