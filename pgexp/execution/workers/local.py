"""Workers that are processes on this machine.

They are forks of a process that has loaded torch and does nothing else: a worker begins at once, and what it has loaded
is in memory once. A worker receives orders on a connection that the command holds, and ends when that closes.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, final

from pgexp.execution.orders import Order
from pgexp.execution.workers.entry import enter
from pgexp.execution.workers.workers import Assignment, Ended, Workers, WorkersError
from pgexp.schema.types import NonNegativeInt

LOG_FILE: Final = "workers.log"  # in a record's folder: what workers print, and what their environments do

_PATIENCE = 10.0  # seconds that a worker has to leave once it is let go, and what they fork from to come back
_PERIOD = 0.1  # seconds between two tries


@final
class LocalWorkers(Workers):
    """Processes on this machine, each with one thread."""

    least_steps = 50_000

    def __init__(self, processes: NonNegativeInt | None = None) -> None:
        """Say how many; None: one a core that this process may use. The process that they fork from starts now."""
        self._count = len(os.sched_getaffinity(0)) if processes is None else processes
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        if self._count:
            forkserver.set_forkserver_preload(["__main__", "pgexp.execution.work"])
            forkserver.ensure_running()

    @property
    def count(self) -> int:
        """The number of processes; 0: the command trains the runs itself."""
        return self._count

    def wait(self, seconds: float) -> None:
        """Wait so many seconds, or until a process has ended its order."""
        busy = [process for process in self._all if process not in self._idle and process.is_alive]
        connections = [process.connection for process in busy if not process.connection.closed]
        if not multiprocessing.connection.wait(connections, seconds) and not connections:
            time.sleep(seconds)

    def start(self, order: Order) -> Assignment:
        """Hand an order to a process that is idle, or to a new one."""
        self._idle[:] = [process for process in self._idle if process.is_alive]
        process = self._idle.pop() if self._idle else self._started(order.folder)
        process.hand(order)
        return _LocalAssignment(process, self._idle)

    def close(self) -> None:
        """Let the processes go, and end those that do not leave."""
        for process in self._all:
            process.let_go()
        for process in self._all:
            process.wait()

    def _started(self, folder: Path) -> "_Process":
        process = _Process(folder / LOG_FILE)
        self._all.append(process)
        return process


class _LocalAssignment(Assignment):
    def __init__(self, process: "_Process", idle: "list[_Process]") -> None:
        self._process, self._idle = process, idle

    def ended(self) -> Ended | None:
        """Return how the work ended; the process is idle again then, if it lives."""
        ended = self._process.answer()
        if ended is not None and ended.how != "died":
            self._idle.append(self._process)
        return ended

    def withdraw(self) -> None:
        """Do nothing: the process has begun."""

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()


class _Process:
    """A worker's process, seen from its command."""

    def __init__(self, log: Path) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self._process = _forked(theirs, log)
        theirs.close()

    @property
    def is_alive(self) -> bool:
        return self._process.exitcode is None

    def hand(self, order: Order) -> None:
        """Hand an order over. If the process is dead, `answer` says so."""
        try:
            self.connection.send(order)
        except (BrokenPipeError, ConnectionError):
            self.connection.close()

    def answer(self) -> Ended | None:
        """Return what it said at last, or that it died without a word; None while it works."""
        try:
            if not self.connection.poll():
                return None
            ended: Ended = self.connection.recv()
        except (EOFError, OSError):  # closed on one side or the other
            self._process.join()
            return Ended("died", _told(self._process.exitcode))
        return ended

    def kill(self) -> None:
        self._process.kill()

    def let_go(self) -> None:
        self.connection.close()

    def wait(self) -> None:
        self._process.join(_PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def _forked(connection: Connection, log: Path) -> BaseProcess:
    """Return a new process. The server that forks it may have been killed: it is then started again.

    Raises WorkersError if that fails for some seconds.
    """
    context = multiprocessing.get_context("forkserver")
    deadline: float | None = None  # from the first failure on: a server may take long to start, and be killed then
    while True:
        process = context.Process(target=_serve, args=(connection, str(log)), name="pgexp worker")
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            deadline = deadline or time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise WorkersError(f"no worker can be started: the server that forks them died: {error}") from error
            time.sleep(_PERIOD)
        else:
            return process


def _told(code: int | None) -> str:
    """Return what ended a process, in words."""
    if code is None or code >= 0:
        return f"it ended with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name}{' (out of memory?)' if -code == signal.SIGKILL else ''}"


def _serve(connection: Connection, log: str) -> None:
    """Run a worker's process: train order after order until the command closes the connection, or is dead.

    It is in a session of its own: Ctrl-C is for the command, which dismisses its workers.
    """
    os.setsid()
    parent = os.getppid()
    with Path(log).open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        while True:
            ended = enter(connection.recv(), lambda: os.getppid() != parent)
            if os.getppid() != parent:
                return  # what it was forked from is gone, and the command may be: it counts as dead
            connection.send(ended)
    except (EOFError, ConnectionError):
        return
