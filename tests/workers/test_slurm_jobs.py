"""Tasks as jobs of a real Slurm of one node, and slow tests of local ones."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest

from pgexp.execution.jobs import Task
from pgexp.execution.workers import slurm as slurm_workers
from pgexp.execution.workers.base import TaskHandle
from pgexp.execution.workers.slurm import SlurmWorkers
from pgexp.schema.errors import UserError
from tests.conftest import Compose
from tests.workers.slurm_cluster import Slurm
from tests.workers.tasks import (
    SMALL,
    Pipe,
    assert_trained_as_here,
    end_of,
    make_task,
    started_with_the_settings,
    wait_until,
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with (
        TemporaryDirectory(prefix="pgexp-slurm-") as folder,
        Slurm(Path(folder)) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(cluster.config))
        patch.setattr(slurm_workers, "_QUERY_SECONDS", 0.5)  # the tests' own Slurm, on this machine
        patch.setattr(slurm_workers, "_RESULT_LAG", 0.5)
        yield cluster


@pytest.fixture
def workers(slurm: Slurm) -> Iterator[SlurmWorkers]:
    """Workers whose jobs inherit only the search path for programs."""
    made = SlurmWorkers(jobs=2, timeout_min=5, mem_gb=0.5, parameters={"export": "PATH"})
    yield made
    made.close()


def test_jobs_get_the_numbers_of_training_here(workers: SlurmWorkers, tasks: tuple[Task, Task]) -> None:
    assert workers.count == 2
    assert_trained_as_here(workers, tasks)
    jobs = [*(tasks[0].folder / "workers").iterdir()]
    assert len(jobs) == 2
    for job in jobs:
        suffixes = sorted(path.suffix for path in job.iterdir())
        assert suffixes == [".err", ".out", ".sh"]  # its output and its script; the task and the result are deleted


def test_a_killed_process_has_died(workers: SlurmWorkers, endless: Task, pipe: Pipe) -> None:
    handle = workers.start(endless)
    process = pipe.process(handle)
    assert started_with_the_settings(process)
    assert not [*endless.folder.rglob("*.pkl")]  # contains secrets
    os.kill(process, signal.SIGKILL)
    ended = end_of(handle)
    assert ended.status == "died"
    assert "FAILED" in ended.reason


@pytest.mark.parametrize("warning", [signal.SIGUSR2, signal.SIGTERM])
def test_a_job_that_is_warned_writes_a_checkpoint(
    workers: SlurmWorkers, endless: Task, pipe: Pipe, warning: signal.Signals
) -> None:
    handle = workers.start(endless)
    os.kill(pipe.process(handle), warning)
    assert_stopped_with_a_checkpoint(workers, handle, endless)


@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_a_job_is_warned_before_its_time_limit(slurm: Slurm, cluster: Literal["slurm", "local"], endless: Task) -> None:
    """Half a minute before the shortest possible limit."""
    workers = SlurmWorkers(cluster, timeout_min=1)
    try:
        assert_stopped_with_a_checkpoint(workers, workers.start(endless), endless)
    finally:
        workers.close()


def assert_stopped_with_a_checkpoint(workers: SlurmWorkers, handle: TaskHandle, task: Task) -> None:
    ended = end_of(handle)
    assert ended.status == "died"
    assert ended.reason.startswith("interrupted")
    assert (task.jobs[0].folder / "checkpoint").is_dir()


def test_jobs_that_run_and_that_wait_are_killed(
    slurm: Slurm, endless: Task, tasks: tuple[Task, Task], pipe: Pipe
) -> None:
    workers = SlurmWorkers(cpus_per_task=2)
    running = workers.start(endless)
    process = pipe.process(running)
    waiting = workers.start(tasks[0])
    assert waiting.poll() is None
    assert len([*endless.folder.rglob("*.pkl")]) == 1
    workers.close()
    assert not [*endless.folder.rglob("*.pkl")]
    wait_until(lambda: not Path(f"/proc/{process}").exists())
    assert [end_of(running).status, end_of(waiting).status] == ["died", "died"]


def test_a_node_that_does_not_see_the_folder(slurm: Slurm, configured: Compose) -> None:
    workers = SlurmWorkers()
    task = make_task(slurm.hidden / "sweep", [configured(*SMALL)])
    ended = end_of(workers.start(task))
    assert ended.status == "failed"
    assert f"does not see {task.folder}" in ended.reason


def test_slurm_refuses_a_job(slurm: Slurm, endless: Task) -> None:
    with pytest.raises(UserError, match=r"^workers.cluster: no job can be submitted .*partition"):
        SlurmWorkers(partition="none").start(endless)
    assert not [*(endless.folder / "workers").iterdir()]  # the task contains secrets


@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_lines_that_run_before_a_jobs_python(
    slurm: Slurm, cluster: Literal["slurm", "local"], endless: Task, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = SlurmWorkers(cluster, setup=["export FIRST='a b'", "export SECOND=$FIRST"])
    try:
        process = pipe.process(workers.start(endless))
        assert "SECOND=a b" in Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    finally:
        workers.close()
    wait_until(lambda: not Path(f"/proc/{process}").exists())
