"""A Ray cluster of two nodes on the loopback interface, each with one processor; run, it is that cluster.

It says its address on stdout, and ends when its stdin does, that is with the process that started it.
"""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Self

from pgexp.schema.determinism import SETTINGS

# Keeps Ray to the loopback interface. Whoever connects needs it, too.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class RayCluster:
    """A cluster in processes of its own, from the start of the block to its end."""

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

    with TemporaryDirectory(prefix="ray-") as folder:  # sockets are in it, whose paths are short
        cluster = Cluster()
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False, temp_dir=folder, node_ip_address="127.0.0.1")
        cluster.wait_for_nodes()
        print(cluster.address, flush=True)
        sys.stdin.read()
        cluster.shutdown()


if __name__ == "__main__":
    serve()
