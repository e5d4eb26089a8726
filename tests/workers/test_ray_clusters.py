"""Ray clusters, one of two nodes and one started here: what is too long for every test run."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.orders import Order
from pgexp.execution.workers.ray import RayWorkers
from pgexp.execution.workers.workers import Ended
from pgexp.schema.errors import ConfigError
from tests.workers.orders import Pipe, assert_trained_as_here, began_with_the_settings, end_of, until


@pytest.fixture
def workers(address: str) -> Iterator[RayWorkers]:
    made = RayWorkers(address)
    yield made
    made.close()


def test_two_nodes_train_a_pack_each_to_the_bits_of_here(
    address: str, orders: tuple[Order, Order], endless: Order, pipe: Pipe
) -> None:
    """And one whose worker is killed has died."""
    workers = RayWorkers(address)
    try:
        assert workers.count == 2  # a processor each
        assert_trained_as_here(workers, orders)
        assignment = workers.start(endless)
        process = pipe.process(assignment)
        assert began_with_the_settings(process)
        os.kill(process, signal.SIGKILL)
        ended = end_of(assignment)
    finally:
        workers.close()
    assert ended.how == "died"
    assert ended.reason.startswith("The worker died unexpectedly")
    assert "\n" not in ended.reason


def test_a_pack_is_killed(workers: RayWorkers, endless: Order, pipe: Pipe) -> None:
    assignment = workers.start(endless)
    pipe.process(assignment)
    assert assignment.ended() is None
    assignment.kill()
    assert end_of(assignment).how == "died"


def test_a_node_that_does_not_see_the_folder_says_so(workers: RayWorkers, orders: tuple[Order, Order]) -> None:
    (orders[0].folder / "record.json").unlink()
    ended = end_of(workers.start(orders[0]))
    assert ended.how == "failed"
    assert f"does not see {orders[0].folder}" in ended.reason


def work_of_no_module(order: Order) -> None:
    """No worker finds this: tests are not on its import path."""


def test_a_node_that_lacks_a_module_says_so(
    workers: RayWorkers, orders: tuple[Order, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.execution.workers.ray.enter_elsewhere", work_of_no_module)
    assert end_of(workers.start(orders[0])) == Ended("failed", f"ModuleNotFoundError: No module named '{__name__}'")


def test_no_node_has_as_many_processors(address: str) -> None:
    workers = RayWorkers(address, cpus_per_pack=2)
    try:
        with pytest.raises(ConfigError, match="cpus_per_pack: given 2; the Ray cluster has no node"):
            _ = workers.count
    finally:
        workers.close()


def test_a_cluster_started_here_trains_to_the_same_bits(orders: tuple[Order, Order]) -> None:
    workers = RayWorkers()
    try:
        assert workers.count == os.cpu_count()
        assert_trained_as_here(workers, orders)
    finally:
        workers.close()


def test_a_cluster_started_here_ends_with_its_tasks(endless: Order, pipe: Pipe) -> None:
    """Ctrl-C in the terminal is for the command alone, and SIGTERM stays with whom it was."""
    before = signal.getsignal(signal.SIGTERM)
    workers = RayWorkers(tasks=1)
    assignment = workers.start(endless)
    process = pipe.process(assignment)
    assert signal.getsignal(signal.SIGTERM) is before
    assert os.getpgid(process) != os.getpgid(0)
    assert workers.count == 1
    workers.close()
    until(lambda: not Path(f"/proc/{process}").exists())
    assert end_of(assignment).how == "died"
    import ray  # not before it has been told to keep to the loopback interface

    assert not ray.is_initialized()
