"""Workers on Ray, as far as no cluster is needed: `tests/workers` has those."""

import pytest

from pgexp.execution.orders import Order
from pgexp.execution.workers.ray import RayWorkers
from pgexp.schema.errors import ConfigError


def test_no_cluster_at_an_address(endless: Order) -> None:
    with pytest.raises(ConfigError, match=r"workers.address: given 127.0.0.1:1; no Ray cluster can be reached there"):
        RayWorkers("127.0.0.1:1").start(endless)
