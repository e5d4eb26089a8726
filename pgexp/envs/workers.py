"""Bank of environments in worker processes.

A process, ``python -m pgexp.envs.workers DESCRIPTOR``, is started, not forked, because a fork copies locks that threads
of the parent may hold. It answers requests on a connection to its parent, and ends when that closes or the parent dies.
"""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgexp.envs.bank import Bank, Start, Transition
from pgexp.functional.arrays import Floats, Observations, Rows

_SECONDS_TO_EXIT = 10.0  # for a worker's last step, after its connection was closed


class WorkerEndedError(RuntimeError):
    """A worker process ended before it answered."""


class Worker:
    """Handle of a worker process."""

    def __init__(self, build: Callable[[], Bank]) -> None:
        """Start the process in a new session, so that Ctrl-C reaches the parent only. It answers to `build` first."""
        self._connection, theirs = Pipe()
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self.ask("build", build)

    def ask(self, name: str, *arguments: Any) -> None:
        """Send a request. If the process has ended, `answer` raises."""
        with suppress(ConnectionError):
            self._connection.send((name, *arguments))

    def answer(self) -> Any:
        """Return the answer to a request. Raises WorkerEndedError, or what the environment raised."""
        try:
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            code = self._process.wait()
            raise WorkerEndedError(f"a worker process of the environments ended with code {code}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call(self, name: str, *arguments: Any) -> Any:
        """Send a request; return its answer."""
        self.ask(name, *arguments)
        return self.answer()

    def disconnect(self) -> None:
        """Close the connection, so that the process ends."""
        self._connection.close()

    def wait(self) -> None:
        """Wait until the process has ended."""
        try:
            self._process.wait(timeout=_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:  # a step of the environment does not return
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Run the worker process: answer requests until the connection closes."""
    connection = Connection(int(sys.argv[1]))
    banks: list[Bank] = []
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(_answer(connection.recv_bytes(), banks))
    for bank in banks:
        bank.close()


def _answer(request: bytes, banks: list[Bank]) -> Any:
    """Return the answer to a request, or the exception that it raised; the first request builds the bank."""
    try:
        name, *arguments = pickle.loads(request)
        match name:
            case "build":
                banks.append(arguments[0]())
            case "start":
                return banks[0].start(*arguments)
            case "step":
                return banks[0].step(*arguments)
    except Exception as error:
        return _portable(error)
    return None


def _portable(error: Exception) -> Exception:
    """Return an exception that can be pickled, with the traceback as a note."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker process:\n{where}")
    return error


@dataclass
class _Episode:
    """An open episode: its seed and its actions determine it."""

    seed: int
    observation: Observations  # the last one, [O]
    actions: list[Any] = field(default_factory=list)


class WorkerBank(Bank):
    """Environments in worker processes; row i belongs to worker i modulo their number.

    Bit-identical to the bank that `build` returns. A process that ends is replaced once per call: the new one plays its
    open episodes again, and the call is repeated. If it ends again, WorkerEndedError is raised.
    """

    def __init__(self, build: Callable[[], Bank], workers: int) -> None:
        """Set the number of workers. Each builds a bank, so `build` must be picklable."""
        self._build, self._count = build, workers
        self._workers: list[Worker] = []  # started at the first call
        self._open: dict[int, _Episode] = {}  # by row

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Begin an episode in each of the rows, all workers at the same time."""
        for row in rows.tolist():
            self._open.pop(row, None)
        found = Start(*_joined(list(self._call("start", rows, np.array(seeds, dtype=object))), len(rows)))
        for row, seed, observation in zip(rows.tolist(), seeds, found.observations, strict=True):
            self._open[row] = _Episode(seed, observation)
        return found

    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Step each of the rows, all workers at the same time."""
        found = Transition(*_joined(list(self._call("step", rows, actions)), len(rows)))
        ended = found.terminated | found.truncated
        for i, row in enumerate(rows.tolist()):
            if ended[i]:
                del self._open[row]
            else:
                self._open[row].actions.append(actions[i])
                self._open[row].observation = found.observations[i]
        return found

    def close(self) -> None:
        """End the workers, and wait until they have ended."""
        for worker in self._workers:
            worker.disconnect()
        for worker in self._workers:
            worker.wait()
        self._workers = []

    def _call(self, name: str, rows: Rows, values: NDArray[Any]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Ask each worker for its rows, one value each; yield the places of its rows and its answer."""
        try:
            if not self._workers:
                self._workers = [Worker(self._build) for _ in range(self._count)]
                for worker in self._workers:
                    worker.answer()
            owner = rows % self._count
            shares = {number: np.flatnonzero(owner == number) for number in np.unique(owner).tolist()}
            for number, places in shares.items():
                self._workers[number].ask(name, rows[places], values[places])
            for number, places in shares.items():
                try:
                    answer = self._workers[number].answer()
                except WorkerEndedError:
                    self._replace(number)
                    answer = self._workers[number].call(name, rows[places], values[places])
                yield places, answer
        except BaseException:  # also Ctrl-C: an unread answer would be read as that of the next request
            self.close()
            raise

    def _replace(self, number: int) -> None:
        """Start a new worker in place of one that ended, and play its open episodes again."""
        self._workers[number].disconnect()
        self._workers[number].wait()
        worker = self._workers[number] = Worker(self._build)
        worker.answer()
        for row, episode in self._open.items():
            if row % self._count != number:
                continue
            found = worker.call("start", np.array([row]), [episode.seed])
            for action in episode.actions:
                found = worker.call("step", np.array([row]), np.array([action]))
            if not np.array_equal(found.observations[0], episode.observation, equal_nan=True):
                raise RuntimeError(
                    "the environment does not repeat an episode from its seed and actions, which is necessary because "
                    "its worker process ended"
                )


def _joined(parts: Sequence[tuple[NDArray[np.int64], Any]], count: int) -> list[Any]:
    """Return the workers' arrays as arrays of all rows."""
    joined = [None if array is None else np.zeros((count, *array.shape[1:]), array.dtype) for array in parts[0][1]]
    for places, arrays in parts:
        for whole, part in zip(joined, arrays, strict=True):
            if whole is not None:
                whole[places] = part
    return joined


if __name__ == "__main__":
    main()
