"""Tasks as local processes that submitit handles like Slurm jobs. `tests/workers` tests a real Slurm."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.jobs import Task
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit
from pgexp.execution.workers.slurm import SlurmQueue, SlurmWorkers, run_job
from pgexp.schema.errors import UserError
from tests.workers.tasks import Pipe, assert_trained_as_here, end_of


@pytest.fixture
def workers() -> Iterator[SlurmWorkers]:
    made = SlurmWorkers("local", jobs=2)
    yield made
    made.close()


@pytest.mark.slow
def test_jobs_get_the_numbers_of_training_here(workers: SlurmWorkers, tasks: tuple[Task, Task]) -> None:
    assert workers.count == 2
    assert_trained_as_here(workers, tasks)
    folder = tasks[0].folder / "workers"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".err", ".out"}


@pytest.mark.slow
def test_a_killed_process_has_died(workers: SlurmWorkers, endless: Task, pipe: Pipe) -> None:
    handle = workers.start(endless)
    process = pipe.process(handle)
    assert not [*endless.folder.rglob("*.pkl")]  # contains secrets
    os.kill(process, signal.SIGKILL)
    ended = end_of(handle)
    assert ended.status == "died"
    assert "_log.err" in ended.reason


@pytest.mark.slow
def test_a_job_that_is_warned_writes_a_checkpoint(workers: SlurmWorkers, endless: Task, pipe: Pipe) -> None:
    handle = workers.start(endless)
    os.kill(pipe.process(handle), signal.SIGUSR2)
    ended = end_of(handle)
    assert ended.status == "died"
    assert ended.reason.startswith("interrupted")
    assert (endless.jobs[0].folder / "checkpoint").is_dir()


def missing_function(task: Task) -> None:
    """Function that no worker can import: the tests are not on its import path."""


def test_a_machine_that_lacks_a_module(
    workers: SlurmWorkers, tasks: tuple[Task, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.execution.workers.slurm.run_job", missing_function)
    assert end_of(workers.start(tasks[0])) == TaskExit("failed", f"ModuleNotFoundError: No module named '{__name__}'")


def test_no_slurm_here(tasks: tuple[Task, Task], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"^workers.cluster: no job can be submitted .*srun"):
        SlurmWorkers().start(tasks[0])


@pytest.fixture
def within_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make this process look like one that submitit has started."""
    for name, value in {"EXECUTOR": "local", "LOCAL_JOB_ID": "1", "FOLDER": str(tmp_path)}.items():
        monkeypatch.setenv(f"SUBMITIT_{name}", value)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_task_that_stops_with_the_lease_was_interrupted(
    within_a_job: None, tasks: tuple[Task, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.execution.workers.slurm.run_remote_task", lambda task: TaskExit("stopped"))
    assert run_job(tasks[0]).status == "died"
    lease.release(tasks[0].folder)
    assert run_job(tasks[0]) == TaskExit("stopped")


class Squeue:
    """Stub of `squeue` that counts its calls."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answer, self._asked = folder / "answer", folder / "asked"
        program = folder / "squeue"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{self._asked}"\nexec cat "{self._answer}"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def answer(self, text: str) -> None:
        self._answer.write_text(text)

    def fail(self) -> None:
        self._answer.unlink()

    @property
    def calls(self) -> int:
        return len(self._asked.read_text().splitlines())


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Squeue:
    return Squeue(tmp_path, monkeypatch)


def test_one_query_covers_all_jobs(squeue: Squeue) -> None:
    queue = SlurmQueue()
    for job in ("1", "2", "3"):
        queue.add(job)
    squeue.answer("1 RUNNING\n2 TIMEOUT\n77 PENDING\n")
    assert [queue.state(job) for job in ("1", "2", "3")] == ["RUNNING", "TIMEOUT", "LOST"]
    queue.add("4")
    assert queue.state("4") == "PENDING"  # submitted after the queue was asked
    assert squeue.calls == 1


def test_without_an_answer_no_job_is_lost(squeue: Squeue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgexp.execution.workers.slurm._QUERY_SECONDS", 0.0)
    queue = SlurmQueue()
    queue.add("1")
    squeue.answer("1 RUNNING\n")
    assert queue.state("1") == "RUNNING"
    squeue.fail()
    assert queue.state("1") == "RUNNING"
    squeue.answer("")
    assert queue.state("1") == "LOST"
