"""Workers as tasks of a Ray cluster: an existing one, or one that is started here."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from pgexp.execution.jobs import Task
from pgexp.execution.workers.base import TaskExit, TaskHandle, Workers
from pgexp.execution.workers.worker import run_remote_task, with_absolute_paths
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.errors import UserError
from pgexp.schema.types import PositiveInt

# Usage reports are off. A cluster that is started here accepts work from anybody who can reach it, so it listens on the
# loopback interface only. Ray names that setting after the systems on which it is the default.
_VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0"}
_LOCAL_VARIABLES = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_TIMEOUT = 10.0  # seconds for a cluster to answer


@final
class RayWorkers(Workers):
    """Tasks of a Ray cluster, whose nodes have the same packages and see the same folders as this machine."""

    min_steps = 500_000

    def __init__(
        self, address: str | None = None, tasks: PositiveInt | None = None, cpus_per_task: PositiveInt = 1
    ) -> None:
        self._address = address
        self._tasks = tasks
        self._cpus = cpus_per_task
        self._ray: Any = None  # the module, once connected

    @property
    def count(self) -> int:
        """The number of tasks at once. Without a setting, nodes that join the cluster add to it."""
        if self._tasks is not None:
            return self._tasks
        nodes = self._connected().nodes()
        count = sum(int(node["Resources"].get("CPU", 0)) // self._cpus for node in nodes if node["Alive"])
        if not count:
            text = f"must be at most the number of processors of the cluster's largest node (got {self._cpus})"
            raise UserError.at("workers.cpus_per_task", text)
        return count

    def start(self, task: Task) -> TaskHandle:
        """Submit a task, which begins as soon as a node has free processors for it."""
        ray = self._connected()
        remote = ray.remote(run_remote_task).options(
            name=f"pgexp {task.number}",
            num_cpus=self._cpus,
            max_retries=0,  # the scheduler decides on retries
            runtime_env={"env_vars": dict(SETTINGS)},  # before NumPy may load
        )
        return _RayTask(ray, remote.remote(with_absolute_paths(task)))

    def close(self) -> None:
        """Leave the cluster, which ends its remaining tasks. A cluster that was started here ends, too."""
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None

    def _connected(self) -> Any:
        if self._ray is None:
            self._ray = _connect(self._address)
        return self._ray


@final
class _RayTask(TaskHandle):
    def __init__(self, ray: Any, result: Any) -> None:
        self._ray = ray
        self._result = result
        self._exit: TaskExit | None = None

    def poll(self) -> TaskExit | None:
        """Return at once how the task ended, or None."""
        if self._exit is None and not self._ray.is_initialized():  # Ray would start a cluster to answer
            self._exit = TaskExit("died", "the command has left the cluster")
        if self._exit is None and self._ray.wait([self._result], timeout=0)[0]:
            self._exit = self._fetch()
        return self._exit

    def cancel(self) -> None:
        """End the task if it waits; if it has begun, interrupt it, so that it writes a checkpoint and stops."""
        if self.poll() is None:
            self._ray.cancel(self._result)

    def kill(self) -> None:
        """End the task's process."""
        if self.poll() is None:
            self._ray.cancel(self._result, force=True)

    def _fetch(self) -> TaskExit:
        errors = self._ray.exceptions
        try:
            end: TaskExit = self._ray.get(self._result)
        except errors.RayTaskError as error:  # the function raised; the text is a traceback
            return TaskExit("failed", str(error).strip().splitlines()[-1])
        except (errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            return TaskExit("failed", _first_line(error))
        except errors.RayError as error:  # the process, its node or its result is lost
            return TaskExit("died", _first_line(error))
        return end


def _connect(address: str | None) -> Any:
    """Return the module `ray`, connected to a cluster. Raises UserError if either does not exist."""
    os.environ.update(_VARIABLES if address else _VARIABLES | _LOCAL_VARIABLES)
    try:
        import ray
    except ImportError as error:
        text = "needs Ray (got ray). Install the extra: pip install 'pgexp[ray]'"
        raise UserError.at("workers", text) from error
    try:
        with _sigterm_handler_kept():
            if address:
                _require_reachable(address)
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        problem = "no Ray cluster can be reached there" if address else "no Ray cluster can be started here"
        text = f"{problem} (got {address}): {_first_line(error)}"
        raise UserError.at("workers.address", text) from error
    return ray


def _require_reachable(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT. Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        with socket.create_connection((host, int(port)), _TIMEOUT):
            pass


@contextmanager
def _sigterm_handler_kept() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces."""
    previous = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, previous)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
