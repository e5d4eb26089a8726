"""Ray workers without a cluster. `tests/workers` tests them with one."""

import pytest

from pgexp.execution.jobs import Task
from pgexp.execution.workers.ray import RayWorkers
from pgexp.schema.errors import UserError


def test_no_cluster_at_an_address(endless: Task) -> None:
    with pytest.raises(UserError, match=r"^workers.address: no Ray cluster .*127.0.0.1:1"):
        RayWorkers("127.0.0.1:1").start(endless)
