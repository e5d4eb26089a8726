"""Workers on this machine: processes, or the command's own process.

The processes are forks of a process that has loaded torch and does nothing else: a worker starts at once, and what it
has loaded is in memory only once. A worker receives tasks on a connection and ends when the command closes that.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from collections.abc import Generator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from pgexp.execution.jobs import Task
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit, TaskHandle, Workers, WorkersError
from pgexp.execution.workers.worker import CHECK_SECONDS, run_task
from pgexp.schema.types import NonNegativeInt

if TYPE_CHECKING:
    from pgexp.algorithms.evaluator import EvaluationResult
    from pgexp.execution.assembly import Run
    from pgexp.execution.experiment import Interrupts, Update

LOG_FILE: Final = "workers.log"  # in a sweep's folder: output of workers and their environments

_TIMEOUT = 10.0  # seconds for a worker to end, and for the fork server to restart
_RETRY_SECONDS = 0.1  # between two attempts to start a process


@final
class LocalWorkers(Workers):
    """Processes on this machine, each with one thread."""

    min_steps = 50_000

    def __init__(self, processes: NonNegativeInt | None = None) -> None:
        """Start the fork server. processes: None is one per core that this process may use."""
        self._count = _available_cores() if processes is None else processes
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        if self._count:
            forkserver.set_forkserver_preload(["__main__", "pgexp.execution.experiment"])
            forkserver.ensure_running()

    @property
    def count(self) -> int:
        """The number of processes. With 0, the command trains the runs itself."""
        return self._count

    def wait(self, seconds: float) -> None:
        """Wait for a number of seconds, or until a process has ended its task."""
        busy = [process for process in self._all if process not in self._idle and process.is_alive]
        connections = [process.connection for process in busy if not process.connection.closed]
        if not multiprocessing.connection.wait(connections, seconds) and not connections:
            time.sleep(seconds)

    def start(self, task: Task) -> TaskHandle:
        """Hand a task to an idle process, or to a new one."""
        self._idle[:] = [process for process in self._idle if process.is_alive]
        if self._idle:
            process = self._idle.pop()
        else:
            process = _Process(task.folder / LOG_FILE)
            self._all.append(process)
        process.send(task)
        return _LocalTask(process, self._idle)

    def close(self) -> None:
        """Ask the processes to end, and kill those that do not."""
        for process in self._all:
            process.connection.close()
        for process in self._all:
            process.join()


def _available_cores() -> int:
    """Return the number of cores that this process may use. Only Linux knows; elsewhere it is that of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _LocalTask(TaskHandle):
    def __init__(self, process: "_Process", idle: "list[_Process]") -> None:
        self._process, self._idle = process, idle

    def poll(self) -> TaskExit | None:
        """Return how the task ended. The process is idle again then, unless it died."""
        end = self._process.receive()
        if end is not None and end.status != "died":
            self._idle.append(self._process)
        return end

    def cancel(self) -> None:
        """Do nothing: the process has begun."""

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()


class _Process:
    """A worker's process, seen from the command."""

    def __init__(self, log: Path) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self._process = _fork(theirs, log)
        theirs.close()

    @property
    def is_alive(self) -> bool:
        return self._process.exitcode is None

    def send(self, task: Task) -> None:
        """Hand a task over. If the process is dead, `receive` returns that."""
        try:
            self.connection.send(task)
        except (BrokenPipeError, ConnectionError):
            self.connection.close()

    def receive(self) -> TaskExit | None:
        """Return how the last task ended, or None while it is in training."""
        try:
            if not self.connection.poll():
                return None
            end: TaskExit = self.connection.recv()
        except (EOFError, OSError):  # closed on either side
            self._process.join()
            return TaskExit("died", _exit_reason(self._process.exitcode))
        return end

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.join(_TIMEOUT)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def _fork(connection: Connection, log: Path) -> BaseProcess:
    """Return a new process. If the fork server was killed, it is started again.

    Raises WorkersError if that fails for some seconds.
    """
    context = multiprocessing.get_context("forkserver")
    deadline: float | None = None  # counted from the first failure, because the server may take long to start
    while True:
        process = context.Process(target=_serve, args=(connection, str(log)), name="pgexp worker")
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            deadline = deadline or time.monotonic() + _TIMEOUT
            if time.monotonic() > deadline:
                raise WorkersError(f"no worker can be started, because the fork server died: {error}") from error
            time.sleep(_RETRY_SECONDS)
        else:
            return process


def _exit_reason(code: int | None) -> str:
    """Return the text for a process's exit code, which is negative for a signal."""
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name}{' (out of memory?)' if -code == signal.SIGKILL else ''}"


def _serve(connection: Connection, log: str) -> None:
    """Train one task after the other until the command closes the connection or dies.

    The process is in a session of its own: Ctrl-C is for the command, which stops its workers.
    """
    os.setsid()
    parent = os.getppid()
    with Path(log).open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        while True:
            end = run_task(connection.recv(), parent)
            if os.getppid() != parent:
                return  # the fork server has ended, and with it probably the command
            connection.send(end)
    except (EOFError, ConnectionError):
        return


@final
class OwnProcess(Workers):
    """The command's own process as its only worker. It trains while the command calls `wait`."""

    def __init__(self, interrupts: "Interrupts", run: "Run | None" = None) -> None:
        """interrupts: once one is noted, `wait` returns after the current update. run: the first job's, if built."""
        import torch

        torch.set_num_threads(1)
        self._interrupts, self._run = interrupts, run
        self._task: _OwnTask | None = None
        self.done = 0
        """The number of runs that have ended."""
        self.update: Update | None = None
        """The latest update of the run in training."""
        self.final_evaluations: dict[Path, EvaluationResult] = {}
        """The final evaluations by run folder."""

    @property
    def count(self) -> int:
        """One."""
        return 1

    def start(self, task: Task) -> TaskHandle:
        """Prepare to train a task."""
        self._task = _OwnTask(self._train(task))
        return self._task

    def wait(self, seconds: float) -> None:
        """Train for a number of seconds. Raises OSError if a run's folder cannot be written."""
        if self._task is None or self._task.poll() is not None:
            time.sleep(seconds)
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._interrupts.noted() and self._task.train():
            pass

    def close(self) -> None:
        """Do nothing: `cancel` ends the task."""

    def _train(self, task: Task) -> "Generator[Update]":
        """Train the runs of a task and yield after each update."""
        from pgexp.execution.experiment import open_experiment

        for job in task.jobs:
            experiment, self._run = open_experiment(job, self._run), None
            checked = time.monotonic()
            if experiment is not None:
                with experiment:
                    for self.update in experiment:
                        yield self.update
                        if time.monotonic() - checked >= CHECK_SECONDS:
                            checked = time.monotonic()
                            if lease.is_pruned(job.folder):
                                experiment.prune()
                                break
                if experiment.final_evaluation is not None:
                    self.final_evaluations[job.folder] = experiment.final_evaluation
            self.update = None
            self.done += 1


class _OwnTask(TaskHandle):
    def __init__(self, updates: "Generator[Update]") -> None:
        self._updates = updates
        self._exit: TaskExit | None = None

    def train(self) -> bool:
        """Train until the next update; return whether there was one."""
        if next(self._updates, None) is None:
            self._exit = TaskExit("done")
        return self._exit is None

    def poll(self) -> TaskExit | None:
        """Return how the task ended, or None."""
        return self._exit

    def cancel(self) -> None:
        """Stop the run in training with a checkpoint."""
        self._updates.close()
        self._exit = self._exit or TaskExit("stopped")

    def kill(self) -> None:
        """Do nothing: `cancel` has ended the task."""
