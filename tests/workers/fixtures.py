"""Fixtures for workers on other machines: tasks and a Ray cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.jobs import Task
from tests.conftest import Compose
from tests.workers.ray_cluster import LOOPBACK, RayCluster
from tests.workers.tasks import ENDLESS, SMALL, Pipe, make_task


@pytest.fixture
def tasks(configured: Compose, tmp_path: Path) -> tuple[Task, Task]:
    """Two tasks of one sweep: two seeds with a value network, and a run without a baseline."""
    value = [configured(*SMALL, "baseline=value", f"seed={seed}") for seed in (3, 4)]
    return make_task(tmp_path, value, 0), make_task(tmp_path, [configured(*SMALL, "baseline=none")], 1)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    made.close()


@pytest.fixture
def endless(configured: Compose, tmp_path: Path, pipe: Pipe) -> Task:
    """A task of a run that trains until it is stopped."""
    return make_task(tmp_path, [configured(*ENDLESS, pipe.override)], 2)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a Ray cluster of two nodes."""
    with pytest.MonkeyPatch.context() as patch, RayCluster() as cluster:
        for name, value in LOOPBACK.items():
            patch.setenv(name, value)
        yield cluster.address
