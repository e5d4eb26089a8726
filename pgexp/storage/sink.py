"""The sink's process, ``python -m pgexp.storage.sink FOLDER``, and the handle by which its parent has it.

The training process never waits for a store: it appends to spools, and the sink reads them every half second.
The sink's standard input is a pipe that its parent holds and never writes to. When it closes, the parent has
let go or is dead, and what has not ended then was killed. On standard output the sink says how it stands, a
JSON object a line. Whatever else it says goes to standard error, for which the parent opens a log.
"""

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pgexp.storage.record import read

SINK_LOG: Final = "sink.log"

_PERIOD = 0.5  # seconds between two looks at the spools
_STDIN, _STDOUT = 0, 1
_MESSAGE_LENGTH = 400  # with it a line fits the 4,096 bytes that a pipe takes whole or not at all
_CHUNK = 1 << 16


@dataclass(frozen=True)
class SinkState:
    """How a sink stands."""

    state: Literal["opening", "recording", "done", "failed"]
    ended: int = 0  # runs whose end is recorded
    runs: int = 0
    rows: int = 0  # rows brought over
    message: str = ""

    @property
    def final(self) -> bool:
        """Whether no other state follows."""
        return self.state in ("done", "failed")


class SinkProcess:
    """A sink's process, seen from its parent."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Hold a process that ``start`` started."""
        assert process.stdin
        assert process.stdout
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._log = log
        self._line = b""
        self._state = SinkState("opening")

    @classmethod
    def start(cls, folder: Path) -> "SinkProcess":
        """Start a sink on a record's folder, in a session of its own: Ctrl-C is for the training process."""
        log = folder / SINK_LOG
        command = [sys.executable, "-P", "-m", __name__, str(folder)]
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        return cls(process, log)

    def state(self) -> SinkState:
        """Return the latest state at once."""
        return self.wait(0)

    def wait(self, timeout: float) -> SinkState:
        """Return the latest state, having waited up to so many seconds for the sink to end."""
        deadline = time.monotonic() + timeout
        while not self._stdout.closed and self._listen(max(0.0, deadline - time.monotonic())):
            pass
        return self._state

    def close(self) -> None:
        """Let go: nothing more will be appended to the spools, and what has not ended was killed."""
        self._stdin.close()

    def _listen(self, timeout: float) -> bool:
        """Take in what the sink says within so many seconds; return whether it said or did anything."""
        if not select.select([self._stdout], [], [], timeout)[0]:
            return False
        said = os.read(self._stdout.fileno(), _CHUNK)
        *lines, self._line = (self._line + said).split(b"\n")
        if lines:
            self._state = SinkState(**json.loads(lines[-1]))
        if not said:
            self._reap()
        return True

    def _reap(self) -> None:
        code = self._process.wait()
        self._stdin.close()
        self._stdout.close()
        if not self._state.final:
            message = f"the sink ended with code {code}; see {self._log}"
            self._state = replace(self._state, state="failed", message=message)


def main() -> int:
    """Run the sink's process, and return its exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    said = SinkState("opening")
    try:
        for state in _record(Path(sys.argv[1]), os.getppid()):
            if state != said:
                _say(state)
            if state.message and state.message != said.message:
                logging.warning("%s", state.message)
            said = state
    except Exception as error:
        logging.exception("The sink failed.")
        _say(replace(said, state="failed", message=_in_short(error)))
        return 1
    return 0


def _record(folder: Path, parent: int) -> Iterator[SinkState]:
    """Bring a folder's runs over until all have ended or the parent lets go; yield how it stands."""
    record = read(folder)
    yield SinkState("opening", runs=len(record.runs))
    from pgexp.storage.mlflow_sink import STORE_ERRORS, MlflowSink  # takes seconds, and no parent wants it

    sink = MlflowSink(record)
    sink.open()
    over = let_go = False
    while not over:
        message = ""
        try:
            if let_go:
                sink.close_killed()
            over = let_go or sink.drain()
        except STORE_ERRORS as error:
            if let_go:
                raise
            message = _in_short(error)
        state: Literal["done", "recording"] = "done" if over else "recording"
        yield SinkState(state, sink.ended, len(record.runs), sink.rows, message)
        let_go = not over and _lets_go(parent)


def _lets_go(parent: int) -> bool:
    """Wait for the next look, or until standard input ends; return whether the parent has let go.

    The parent's id is a second sign of its death: a worker that it forked may hold the pipe open.
    """
    return bool(select.select([_STDIN], [], [], _PERIOD)[0]) or os.getppid() != parent


def _say(state: SinkState) -> None:
    """Write a state; while the pipe is full, its reader misses all but the last, and holds up nobody."""
    if state.final or select.select([], [_STDOUT], [], 0)[1]:
        with contextlib.suppress(BrokenPipeError):  # the parent is dead
            os.write(_STDOUT, json.dumps(asdict(state)).encode() + b"\n")


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH]


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # a library's prints are no states
        sys.exit(main())
