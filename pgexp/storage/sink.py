"""The sink as the training process has it: a process of its own, which brings a record's runs to MLflow.

The training process never waits for a store: it appends to spools, and the sink (`pgexp.storage.draining`) reads them.
A sink that dies is started again, and goes on from what the store has.
"""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pgexp.storage.store_uri import URI_VARIABLE

SINK_LOG: Final = "sink.log"

_MODULE = "pgexp.storage.draining"
_RESTARTS = 3  # of a sink that was killed; one that failed would fail again
_CHUNK = 1 << 16


@dataclass(frozen=True)
class SinkState:
    """How a sink stands."""

    state: Literal["opening", "recording", "done", "failed"]
    ended: int = 0  # runs whose end is recorded
    runs: int = 0
    rows: int = 0  # rows brought over
    opened: int = 0  # while it opens: runs, and others above them, that stand in the store
    message: str = ""  # why the store could not be written to when it was last tried; empty when it could

    @property
    def final(self) -> bool:
        """Whether no other state follows."""
        return self.state in ("done", "failed")


class SinkProcess:
    """A sink's process, seen from its parent."""

    def __init__(self, folder: Path, uri: str, growing: bool) -> None:
        """Start a sink, as `start` does."""
        self._folder = folder
        self._growing = growing
        self._uri = uri
        self._restarts = _RESTARTS
        self._state = SinkState("opening")
        self._process = self._started()

    @classmethod
    def start(cls, folder: Path, uri: str = "", growing: bool = False) -> "SinkProcess":
        """Start a sink on a record's folder, in a session of its own: Ctrl-C is for the training process.

        It needs the store's address, if that has a password: the record has it masked. A run that goes on after an end
        must have said so in its spool before, or the sink takes it for ended.
        """
        return cls(folder, uri, growing)

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

    def _started(self) -> subprocess.Popen[bytes]:
        environment = os.environ | ({URI_VARIABLE: self._uri} if self._uri else {})
        with (self._folder / SINK_LOG).open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                env=environment,
            )
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout, self._line = process.stdin, process.stdout, b""
        return process

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
        """Take note of the sink's end; one that was killed while it had work to do is started again."""
        code = self._process.wait()
        let_go = self._stdin.closed
        self._stdin.close()
        self._stdout.close()
        if self._state.final:
            return
        if code < 0 and self._restarts and not let_go:
            self._restarts -= 1
            self._process = self._started()
            return
        message = f"the sink ended with code {code}; see {self._folder / SINK_LOG}"
        self._state = replace(self._state, state="failed", message=message)
