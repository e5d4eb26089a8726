"""Orders as jobs of submitit's stand-in for Slurm, processes of this machine; `tests/workers` has a real Slurm."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution import commanding
from pgexp.execution.orders import Order
from pgexp.execution.workers.queue import GONE, Queue
from pgexp.execution.workers.slurm import SlurmWorkers, enter_job
from pgexp.execution.workers.workers import Ended
from pgexp.schema.errors import ConfigError
from tests.workers.orders import Pipe, assert_trained_as_here, end_of


@pytest.fixture
def workers() -> Iterator[SlurmWorkers]:
    made = SlurmWorkers("local", jobs=2)
    yield made
    made.close()


@pytest.mark.slow
def test_jobs_train_packs_to_the_bits_of_here(workers: SlurmWorkers, orders: tuple[Order, Order]) -> None:
    assert workers.count == 2
    assert_trained_as_here(workers, orders)
    folder = orders[0].folder / "workers"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".err", ".out"}


@pytest.mark.slow
def test_a_killed_process_has_died(workers: SlurmWorkers, endless: Order, pipe: Pipe) -> None:
    assignment = workers.start(endless)
    process = pipe.process(assignment)
    assert not [*endless.folder.rglob("*.pkl")]  # the order, which holds secrets, is gone as soon as it has begun
    os.kill(process, signal.SIGKILL)
    ended = end_of(assignment)
    assert ended.how == "died"
    assert "_log.err" in ended.reason


@pytest.mark.slow
def test_a_job_that_is_warned_of_its_end_keeps_a_checkpoint(workers: SlurmWorkers, endless: Order, pipe: Pipe) -> None:
    assignment = workers.start(endless)
    os.kill(pipe.process(assignment), signal.SIGUSR2)
    ended = end_of(assignment)
    assert ended.how == "died"
    assert ended.reason.startswith("interrupted")
    assert (endless.jobs[0].folder / "checkpoint").is_dir()


def work_of_no_module(order: Order) -> None:
    """No worker finds this: tests are not on its import path."""


def test_a_machine_that_lacks_a_module_says_so(
    workers: SlurmWorkers, orders: tuple[Order, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.execution.workers.slurm.enter_job", work_of_no_module)
    assert end_of(workers.start(orders[0])) == Ended("failed", f"ModuleNotFoundError: No module named '{__name__}'")


def test_no_slurm_here(orders: tuple[Order, Order], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"^workers.cluster: given slurm; no job can be submitted: .*srun"):
        SlurmWorkers().start(orders[0])


@pytest.fixture
def within_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is as one that submitit has started."""
    for name, value in {"EXECUTOR": "local", "LOCAL_JOB_ID": "1", "FOLDER": str(tmp_path)}.items():
        monkeypatch.setenv(f"SUBMITIT_{name}", value)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_pack_that_stops_unasked_was_interrupted(
    within_a_job: None, orders: tuple[Order, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.execution.workers.slurm.enter_elsewhere", lambda order: Ended("stopped"))
    assert enter_job(orders[0]).how == "died"
    commanding.dismiss(orders[0].folder)
    assert enter_job(orders[0]) == Ended("stopped")


class Squeue:
    """Stands in for `squeue`, and counts how often it is asked."""

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
    def asked(self) -> int:
        return len(self._asked.read_text().splitlines())


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Squeue:
    return Squeue(tmp_path, monkeypatch)


def test_a_queue_is_asked_for_all_jobs_at_once_and_seldom(squeue: Squeue) -> None:
    queue = Queue()
    for job in ("1", "2", "3"):
        queue.watch(job)
    squeue.answer("1 RUNNING\n2 TIMEOUT\n77 PENDING\n")
    assert [queue.state(job) for job in ("1", "2", "3")] == ["RUNNING", "TIMEOUT", GONE]
    queue.watch("4")
    assert queue.state("4") == "PENDING"  # submitted after the queue was asked
    assert squeue.asked == 1


def test_a_queue_that_does_not_answer_has_lost_no_job(squeue: Squeue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgexp.execution.workers.queue._SECONDS", 0.0)
    queue = Queue()
    queue.watch("1")
    squeue.answer("1 RUNNING\n")
    assert queue.state("1") == "RUNNING"
    squeue.fail()
    assert queue.state("1") == "RUNNING"
    squeue.answer("")
    assert queue.state("1") == GONE
