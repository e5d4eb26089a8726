"""Orders as jobs of a real Slurm of one node, and what takes long with submitit's stand-in for it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pgexp.execution.orders import Order
from pgexp.execution.workers import queue
from pgexp.execution.workers import slurm as slurm_workers
from pgexp.execution.workers.slurm import SlurmWorkers
from pgexp.execution.workers.workers import Assignment
from pgexp.schema.errors import ConfigError
from tests.conftest import Compose
from tests.workers.orders import (
    SMALL,
    Pipe,
    assert_trained_as_here,
    began_with_the_settings,
    end_of,
    made_order,
    until,
)
from tests.workers.slurm_cluster import Slurm


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with (
        TemporaryDirectory(prefix="pgexp-slurm-") as folder,
        Slurm(Path(folder)) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(cluster.config))
        patch.setattr(queue, "_SECONDS", 0.5)  # it is our own, and on this machine
        patch.setattr(slurm_workers, "_LAG", 0.5)
        yield cluster


@pytest.fixture
def workers(slurm: Slurm) -> Iterator[SlurmWorkers]:
    """Workers that are told nothing but where programs are."""
    made = SlurmWorkers(jobs=2, timeout_min=5, mem_gb=0.5, parameters={"export": "PATH"})
    yield made
    made.close()


def test_jobs_train_packs_to_the_bits_of_here(workers: SlurmWorkers, orders: tuple[Order, Order]) -> None:
    assert workers.count == 2
    assert_trained_as_here(workers, orders)
    jobs = [*(orders[0].folder / "workers").iterdir()]
    assert len(jobs) == 2
    for job in jobs:
        suffixes = sorted(path.suffix for path in job.iterdir())
        assert suffixes == [".err", ".out", ".sh"]  # what it said, and its script: the order and its end are gone


def test_a_killed_process_has_died(workers: SlurmWorkers, endless: Order, pipe: Pipe) -> None:
    assignment = workers.start(endless)
    process = pipe.process(assignment)
    assert began_with_the_settings(process)
    assert not [*endless.folder.rglob("*.pkl")]  # the order, which holds secrets, is gone as soon as it has begun
    os.kill(process, signal.SIGKILL)
    ended = end_of(assignment)
    assert ended.how == "died"
    assert "FAILED" in ended.reason


@pytest.mark.parametrize("warning", [signal.SIGUSR2, signal.SIGTERM])
def test_a_job_that_is_warned_of_its_end_keeps_a_checkpoint(
    workers: SlurmWorkers, endless: Order, pipe: Pipe, warning: signal.Signals
) -> None:
    assignment = workers.start(endless)
    os.kill(pipe.process(assignment), warning)
    assert_stopped_with_a_checkpoint(workers, assignment, endless)


@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_a_job_is_warned_before_its_time_limit(slurm: Slurm, cluster: str, endless: Order) -> None:
    """Half a minute before the shortest limit that there is."""
    workers = SlurmWorkers(cluster, timeout_min=1)
    try:
        assert_stopped_with_a_checkpoint(workers, workers.start(endless), endless)
    finally:
        workers.close()


def assert_stopped_with_a_checkpoint(workers: SlurmWorkers, assignment: Assignment, order: Order) -> None:
    ended = end_of(assignment)
    assert ended.how == "died"
    assert ended.reason.startswith("interrupted")
    assert (order.jobs[0].folder / "checkpoint").is_dir()


def test_jobs_that_run_and_that_wait_are_killed(
    slurm: Slurm, endless: Order, orders: tuple[Order, Order], pipe: Pipe
) -> None:
    workers = SlurmWorkers(cpus_per_task=2)
    running = workers.start(endless)
    process = pipe.process(running)
    waiting = workers.start(orders[0])
    assert waiting.ended() is None
    assert len([*endless.folder.rglob("*.pkl")]) == 1
    workers.close()
    assert not [*endless.folder.rglob("*.pkl")]
    until(lambda: not Path(f"/proc/{process}").exists())
    assert [end_of(running).how, end_of(waiting).how] == ["died", "died"]


def test_a_node_that_does_not_see_the_folder(slurm: Slurm, configured: Compose) -> None:
    workers = SlurmWorkers()
    order = made_order(slurm.hidden / "sweep", [configured(*SMALL)])
    ended = end_of(workers.start(order))
    assert ended.how == "failed"
    assert f"does not see {order.folder}" in ended.reason


def test_slurm_refuses_a_job(slurm: Slurm, endless: Order) -> None:
    with pytest.raises(ConfigError, match=r"workers.cluster: given slurm; no job can be submitted: .*partition"):
        SlurmWorkers(partition="none").start(endless)
    assert not [*(endless.folder / "workers").iterdir()]  # an order holds secrets


@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_lines_that_run_before_a_jobs_python(
    slurm: Slurm, cluster: str, endless: Order, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = SlurmWorkers(cluster, setup=["export FIRST='a b'", "export SECOND=$FIRST"])
    try:
        process = pipe.process(workers.start(endless))
        assert "SECOND=a b" in Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    finally:
        workers.close()
    until(lambda: not Path(f"/proc/{process}").exists())
