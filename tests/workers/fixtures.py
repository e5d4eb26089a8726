"""Fixtures of the tests of workers on other machines: orders, and a Ray cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.orders import Order
from tests.conftest import Compose
from tests.workers.orders import ENDLESS, SMALL, Pipe, made_order
from tests.workers.ray_cluster import LOOPBACK, RayCluster


@pytest.fixture
def orders(configured: Compose, tmp_path: Path) -> tuple[Order, Order]:
    """Two orders of one record: two seeds with a value network, and a run without a baseline."""
    value = [configured(*SMALL, "baseline=value", f"seed={seed}") for seed in (3, 4)]
    return made_order(tmp_path, value, 0), made_order(tmp_path, [configured(*SMALL, "baseline=none")], 1)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    made.close()


@pytest.fixture
def endless(configured: Compose, tmp_path: Path, pipe: Pipe) -> Order:
    """An order of a run that trains until it is stopped."""
    return made_order(tmp_path, [configured(*ENDLESS, pipe.override)], 2)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a Ray cluster of two nodes."""
    with pytest.MonkeyPatch.context() as patch, RayCluster() as cluster:
        for name, value in LOOPBACK.items():
            patch.setenv(name, value)
        yield cluster.address
