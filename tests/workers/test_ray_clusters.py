"""Tasks on Ray clusters: one of two nodes, and one started here."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.jobs import Task
from pgexp.execution.workers.base import TaskExit
from pgexp.execution.workers.ray import RayWorkers
from pgexp.schema.errors import UserError
from tests.workers.tasks import Pipe, assert_trained_as_here, end_of, started_with_the_settings, wait_until


@pytest.fixture
def workers(address: str) -> Iterator[RayWorkers]:
    made = RayWorkers(address)
    yield made
    made.close()


def test_two_nodes_get_the_numbers_of_training_here(
    address: str, tasks: tuple[Task, Task], endless: Task, pipe: Pipe
) -> None:
    """A killed worker has died."""
    workers = RayWorkers(address)
    try:
        assert workers.count == 2  # one per processor
        assert_trained_as_here(workers, tasks)
        handle = workers.start(endless)
        process = pipe.process(handle)
        assert started_with_the_settings(process)
        os.kill(process, signal.SIGKILL)
        ended = end_of(handle)
    finally:
        workers.close()
    assert ended.status == "died"
    assert ended.reason.startswith("The worker died unexpectedly")
    assert "\n" not in ended.reason


def test_a_task_is_killed(workers: RayWorkers, endless: Task, pipe: Pipe) -> None:
    handle = workers.start(endless)
    pipe.process(handle)
    assert handle.poll() is None
    handle.kill()
    assert end_of(handle).status == "died"


def test_a_node_that_does_not_see_the_folder(workers: RayWorkers, tasks: tuple[Task, Task]) -> None:
    (tasks[0].folder / "manifest.json").unlink()
    ended = end_of(workers.start(tasks[0]))
    assert ended.status == "failed"
    assert f"does not see {tasks[0].folder}" in ended.reason


def missing_function(task: Task) -> None:
    """Function that no worker can import: the tests are not on its import path."""


def test_a_node_that_lacks_a_module(
    workers: RayWorkers, tasks: tuple[Task, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.execution.workers.ray.run_remote_task", missing_function)
    assert end_of(workers.start(tasks[0])) == TaskExit("failed", f"ModuleNotFoundError: No module named '{__name__}'")


def test_no_node_has_as_many_processors(address: str) -> None:
    workers = RayWorkers(address, cpus_per_task=2)
    try:
        with pytest.raises(UserError, match=r"^workers.cpus_per_task: .*got 2"):
            _ = workers.count
    finally:
        workers.close()


def test_a_cluster_started_here_gets_the_same_numbers(tasks: tuple[Task, Task]) -> None:
    workers = RayWorkers()
    try:
        assert workers.count == os.cpu_count()
        assert_trained_as_here(workers, tasks)
    finally:
        workers.close()


def test_a_cluster_started_here_ends_with_its_tasks(endless: Task, pipe: Pipe) -> None:
    """Ctrl-C reaches the command only, and the handler of SIGTERM stays."""
    before = signal.getsignal(signal.SIGTERM)
    workers = RayWorkers(tasks=1)
    handle = workers.start(endless)
    process = pipe.process(handle)
    assert signal.getsignal(signal.SIGTERM) is before
    assert os.getpgid(process) != os.getpgid(0)
    assert workers.count == 1
    workers.close()
    wait_until(lambda: not Path(f"/proc/{process}").exists())
    assert end_of(handle).status == "died"
    import ray  # after the variables that restrict it to the loopback interface are set

    assert not ray.is_initialized()
