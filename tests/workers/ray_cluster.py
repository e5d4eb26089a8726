"""Ray cluster of two nodes with one processor each, on the loopback interface.

As a program it prints the cluster's address, and ends when its standard input closes.
"""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Self

from pgexp.schema.determinism import SETTINGS

# Restricts Ray to the loopback interface; clients need these variables, too.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class RayCluster:
    """A cluster in other processes, for the duration of the block."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", __file__]
        others = {name: value for name, value in os.environ.items() if name not in SETTINGS}  # as on another machine
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=others | LOOPBACK
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate("", timeout=60)


def serve() -> None:
    from ray.cluster_utils import Cluster

    with TemporaryDirectory(prefix="ray-") as folder:  # contains sockets, whose paths must be short
        cluster = Cluster()
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False, temp_dir=folder, node_ip_address="127.0.0.1")
        cluster.wait_for_nodes()
        print(cluster.address, flush=True)
        sys.stdin.read()
        cluster.shutdown()


if __name__ == "__main__":
    serve()
