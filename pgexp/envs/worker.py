"""Worker process that holds a bank of environments, and its parent's handle to it.

The process, ``python -m pgexp.envs.worker DESCRIPTOR``, is started, not forked: a fork copies locks that threads of the
parent may hold. It answers requests on a connection to its parent, and ends when that closes or the parent dies.
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
from typing import Any

from pgexp.envs.bank import Bank

_PATIENCE = 10.0  # seconds that a worker has to finish its step once the connection is closed


class WorkerEndedError(RuntimeError):
    """A worker process ended before it answered."""


class Worker:
    """Handle of a worker process."""

    def __init__(self, build: Callable[[], Bank]) -> None:
        """Start the process, in a session of its own: Ctrl-C is for its parent. It first answers to `build`."""
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
        """Send a request, and return its answer."""
        self.ask(name, *arguments)
        return self.answer()

    def let_go(self) -> None:
        """Close the connection, at which the process ends."""
        self._connection.close()

    def wait(self) -> None:
        """Wait until the process has ended."""
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:  # an environment that does not return from its step
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
    """Return the exception in a form that can be pickled, with its traceback as a note."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker process:\n{where}")
    return error


if __name__ == "__main__":
    main()
