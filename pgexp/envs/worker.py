"""One worker process that holds a bank of slots, ``python -m pgexp.envs.worker DESCRIPTOR``, seen from both its ends.

A worker is started afresh, not forked: a fork copies locks that threads of this process may hold. It hears requests
on a connection that its parent holds, and ends when that closes: when the parent lets go, or is dead.
"""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from pgexp.envs.slots import Slots, Start, Transition

Told = TypeVar("Told", Start, Transition)

_PATIENCE = 10.0  # seconds that a worker has to end its step, once its parent has let go


class WorkerEndedError(RuntimeError):
    """A worker's process ended before it had answered."""


class Worker:
    """A worker's process, seen from its parent."""

    def __init__(self, build: Callable[[], Slots]) -> None:
        """Start the process, in a session of its own: Ctrl-C is for its parent. Its first answer is to `build`."""
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
        """Send a request. Where nobody is there to hear it, `answer` tells."""
        with suppress(ConnectionError):
            self._connection.send((name, *arguments))

    def answer(self) -> Any:
        """Return the answer to a request. Raises WorkerEndedError, or what the worker could not attribute to a row."""
        try:
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            code = self._process.wait()
            raise WorkerEndedError(f"a worker process of the environments ended with code {code}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call(self, name: str, *arguments: Any) -> Any:
        """Send a request, and return its answer."""
        self.ask(name, *arguments)
        return self.answer()

    def let_go(self) -> None:
        """Have the process end."""
        self._connection.close()

    def wait(self) -> None:
        """Wait until the process has ended."""
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:  # an environment that does not come back from its step
            self._process.kill()
            self._process.wait()


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
                return _ported(banks[0].start(*arguments))
            case "step":
                return _ported(banks[0].step(*arguments))
    except Exception as error:
        return _portable(error)
    return None


def _ported(told: Told) -> Told:
    failures = {row: _portable(error) for row, error in told.failures.items()}
    return told._replace(failures=failures)


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
