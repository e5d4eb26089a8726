"""Slots spread over worker processes, ``python -m pgexp.envs.workers DESCRIPTOR``, each stepping its share of the rows.

A worker is started afresh, not forked: a fork copies locks that threads of this process may hold. It hears requests
on a connection that its parent holds, and ends when that closes: when the parent lets go, or is dead.
"""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgexp.envs.slots import Slots, Transition
from pgexp.functional.arrays import Actions, Observations, Rows

_PATIENCE = 10.0  # seconds that a worker has to end its step, once its parent has let go


class WorkerSlots(Slots):
    """Slots that worker processes hold; row i is held by worker i modulo their number.

    Equal to what `build` returns, bit for bit: a row's environment does not know in which process it stands. What one
    raises, the caller gets, after all workers have ended.
    """

    def __init__(self, build: Callable[[], Slots], workers: int) -> None:
        """Say how many there are; each builds a bank of its own, so `build` has to be one that pickles."""
        self._build, self._count = build, workers
        self._begun = False
        self._workers: list[_Worker] = []

    def start(self, rows: Rows, seeds: Sequence[int]) -> Observations:
        """Begin an episode in each of the rows, all workers at the same time."""
        shares = self._shares(rows)
        requests = [("start", rows[mine], [seeds[i] for i in mine]) for mine in shares.values()]
        return _joined(shares.values(), self._call(shares, requests))

    def step(self, rows: Rows, actions: Actions) -> Transition:
        """Step each of the rows, all workers at the same time."""
        shares = self._shares(rows)
        answers = self._call(shares, [("step", rows[mine], actions[mine]) for mine in shares.values()])
        return Transition(*(_joined(shares.values(), parts) for parts in zip(*answers, strict=True)))

    def close(self) -> None:
        """End the workers, and wait until they have."""
        for worker in self._workers:
            worker.let_go()
        for worker in self._workers:
            worker.wait()
        self._workers = []

    def _shares(self, rows: Rows) -> dict[int, NDArray[np.int64]]:
        """Return what each worker holds of the rows, as places among them; of none the first one holds nothing."""
        holder = rows % self._count
        return {worker: np.flatnonzero(holder == worker) for worker in np.unique(holder).tolist() or [0]}

    def _call(self, workers: Collection[int], requests: Collection[Any]) -> list[Any]:
        """Send each worker its request, and return their answers. The first call of all starts them."""
        try:
            if not self._begun:
                self._begun = True
                self._workers = [_Worker() for _ in range(self._count)]
                self._call(range(self._count), [("build", self._build)] * self._count)
            for worker, request in zip(workers, requests, strict=True):
                self._workers[worker].ask(request)
            return [self._workers[worker].answer() for worker in workers]
        except BaseException:  # Ctrl-C too: an answer that nobody heard would be taken for the next one's
            self.close()
            raise


class _Worker:
    """A worker's process, seen from its parent."""

    def __init__(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for its parent."""
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

    def ask(self, request: Any) -> None:
        with self._alive():
            self._connection.send(request)

    def answer(self) -> Any:
        with self._alive():
            answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, ConnectionError):
            code = self._process.wait()
            raise RuntimeError(f"a worker process of the environments ended with code {code}") from None

    def let_go(self) -> None:
        self._connection.close()

    def wait(self) -> None:
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:  # an environment that does not come back from its step
            self._process.kill()
            self._process.wait()


def _joined(places: Iterable[NDArray[np.int64]], parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the workers' parts as one array, each row of theirs at its place."""
    joined = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    for place, part in zip(places, parts, strict=True):
        joined[place] = part
    return joined


def main() -> None:
    """Run a worker's process: answer requests until the parent lets go."""
    connection = Connection(int(sys.argv[1]))
    banks: list[Slots] = []
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(_answer(connection.recv_bytes(), banks))
    for bank in banks:
        bank.close()


def _answer(request: bytes, banks: list[Slots]) -> Any:
    """Return the answer to a request, or the exception that it ended in; the first one builds the bank."""
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
    """Return the exception as the parent can have it, with where it was raised; some classes do not pickle."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker process:\n{where}")
    return error


if __name__ == "__main__":
    main()
