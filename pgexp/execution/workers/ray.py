"""Workers that are tasks of a Ray cluster: of one that is there, or of one started here."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from pgexp.execution.orders import Order
from pgexp.execution.workers.elsewhere import enter_elsewhere, placed, settings
from pgexp.execution.workers.workers import Assignment, Ended, Workers
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.types import PositiveInt

# No report of its use leaves the machine; and a cluster started here, which anybody who reaches it could give work to,
# listens on the loopback interface only (Ray's own name for that is of the systems on which it is the default).
_ALWAYS = {"RAY_USAGE_STATS_ENABLED": "0"}
_HERE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_LONGEST = 10.0  # seconds that a cluster may take to answer


@final
class RayWorkers(Workers):
    """Tasks of a Ray cluster. Its nodes have the same packages, and see the same folders, as this machine."""

    least_steps = 500_000

    def __init__(
        self, address: str | None = None, tasks: PositiveInt | None = None, cpus_per_task: PositiveInt = 1
    ) -> None:
        self._address = address
        self._tasks = tasks
        self._cpus = cpus_per_task
        self._ray: Any = None  # the module, once it is connected

    @property
    def count(self) -> int:
        """The number of tasks at once; nodes that join the cluster add to it, unless a number was set."""
        places = self._tasks or self._places()
        if not places:
            text = f"given {self._cpus}; the Ray cluster has no node with as many processors"
            raise ConfigError([Problem("workers.cpus_per_task", text)])
        return places

    def start(self, order: Order) -> Assignment:
        """Hand an order over as a task, which begins as soon as a node has the processors for it."""
        ray = self._connected()
        task = ray.remote(enter_elsewhere).options(
            name=f"pgexp {order.number}",
            num_cpus=self._cpus,
            max_retries=0,  # the scheduler decides on retries
            runtime_env={"env_vars": settings()},
        )
        return _Task(ray, task.remote(placed(order)))

    def close(self) -> None:
        """Leave the cluster, which ends the tasks that still run; one that was started here ends with them."""
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None

    def _places(self) -> int:
        nodes = self._connected().nodes()
        return sum(int(node["Resources"].get("CPU", 0)) // self._cpus for node in nodes if node["Alive"])

    def _connected(self) -> Any:
        if self._ray is None:
            self._ray = _connect(self._address)
        return self._ray


@final
class _Task(Assignment):
    """A task of a Ray cluster."""

    def __init__(self, ray: Any, result: Any) -> None:
        self._ray = ray
        self._result = result
        self._ended: Ended | None = None

    def ended(self) -> Ended | None:
        """Return at once how the task ended, or None."""
        if self._ended is None and not self._ray.is_initialized():  # Ray would start a cluster to answer
            self._ended = Ended("died", "it was given up: its cluster was left")
        if self._ended is None and self._ray.wait([self._result], timeout=0)[0]:
            self._ended = self._fetched()
        return self._ended

    def withdraw(self) -> None:
        """Take the task back; where it has begun, it is interrupted, and keeps its checkpoints as if dismissed."""
        if self.ended() is None:
            self._ray.cancel(self._result)

    def kill(self) -> None:
        """End the process that the task is in."""
        if self.ended() is None:
            self._ray.cancel(self._result, force=True)

    def _fetched(self) -> Ended:
        errors = self._ray.exceptions
        try:
            ended: Ended = self._ray.get(self._result)
        except errors.RayTaskError as error:  # it could not even begin: its text is a traceback
            return Ended("failed", str(error).strip().splitlines()[-1])
        except (errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            return Ended("failed", _told(error))
        except errors.RayError as error:  # the process, or its node, or what they knew is gone
            return Ended("died", _told(error))
        return ended


def _connect(address: str | None) -> Any:
    """Return the module `ray`, connected. Raises ConfigError where there is no such module, or no such cluster."""
    os.environ.update(_ALWAYS if address else _ALWAYS | _HERE)
    try:
        import ray
    except ImportError as error:
        text = "Ray is an extra of the package: pip install 'pgexp[ray]'"
        raise ConfigError([Problem("workers", text)]) from error
    try:
        with _signals_kept():
            if address:
                _reach(address)
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        text = f"given {address}; {'no Ray cluster can be reached there' if address else 'none can be started here'}"
        raise ConfigError([Problem("workers.address", f"{text}: {_told(error)}")]) from error
    return ray


def _reach(address: str) -> None:
    """Raise OSError where nobody answers at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        with socket.create_connection((host, int(port)), _LONGEST):
            pass


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what SIGTERM does, which Ray takes over."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _told(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
