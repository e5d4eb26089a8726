"""Exporter of a command's runs to MLflow, as a process of its own.

Training never waits for a store: it appends to run logs, and the exporter (`pgexp.tracking.export_process`) reads them.
An exporter that dies is started again, and continues from what the store has.
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

from pgexp.tracking.store import URI_VARIABLE

EXPORTER_LOG: Final = "exporter.log"
EXPORTER_LOCK: Final = ".exporter.lock"  # in a sweep's folder; held by the one process that exports it
GROWING: Final = "--growing"  # argument of the process: runs may be added to the manifest

_MODULE = "pgexp.tracking.export_process"
_RESTARTS = 3  # of an exporter that was killed; one that failed would fail again
_CHUNK = 1 << 16


@dataclass(frozen=True)
class ExporterState:
    """Progress of an exporter."""

    state: Literal["opening", "recording", "done", "failed"]
    ended: int = 0  # runs whose end the store has
    runs: int = 0
    rows: int = 0  # exported rows
    opened: int = 0  # MLflow runs, parents included, that exist while the exporter is opening
    message: str = ""  # error of the last call to the store; empty if it succeeded

    @property
    def final(self) -> bool:
        """Whether no other state follows."""
        return self.state in ("done", "failed")


class Exporter:
    """Handle of an exporter's process."""

    def __init__(self, folder: Path, uri: str, growing: bool) -> None:
        """Start an exporter, with the arguments of `start`."""
        self._folder = folder
        self._growing = growing
        self._uri = uri
        self._restarts = _RESTARTS
        self._state = ExporterState("opening")
        self._process = self._start_process()

    @classmethod
    def start(cls, folder: Path, uri: str = "", growing: bool = False) -> "Exporter":
        """Start an exporter, in a session of its own, because Ctrl-C is meant for the training process.

        Resumed runs must be marked in their logs before: the exporter would take them for ended.

        Args:
            folder: of the manifest.
            uri: the store's address, if it has a password, which the manifest masks.
            growing: whether runs may be added to the manifest. The exporter then ends only after `close`.
        """
        return cls(folder, uri, growing)

    def state(self) -> ExporterState:
        """Return the latest state without waiting."""
        return self.wait(0)

    def wait(self, timeout: float) -> ExporterState:
        """Wait for the exporter's end for at most `timeout` seconds; return the latest state."""
        deadline = time.monotonic() + timeout
        while not self._stdout.closed and self._read_state(max(0.0, deadline - time.monotonic())):
            pass
        return self._state

    def close(self) -> None:
        """Tell the exporter that nothing is appended any more, so that runs without an end are marked as killed."""
        self._stdin.close()

    def _start_process(self) -> subprocess.Popen[bytes]:
        environment = os.environ | ({URI_VARIABLE: self._uri} if self._uri else {})
        with (self._folder / EXPORTER_LOG).open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(self._folder), *([GROWING] if self._growing else [])],
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

    def _read_state(self, timeout: float) -> bool:
        """Read what the exporter writes within `timeout` seconds; return whether it wrote something or ended."""
        if not select.select([self._stdout], [], [], timeout)[0]:
            return False
        output = os.read(self._stdout.fileno(), _CHUNK)
        *lines, self._line = (self._line + output).split(b"\n")
        if lines:
            self._state = ExporterState(**json.loads(lines[-1]))
        if not output:
            self._handle_end()
        return True

    def _handle_end(self) -> None:
        """Restart an exporter that was killed before it was done; else note its failure."""
        code = self._process.wait()
        closed = self._stdin.closed
        self._stdin.close()
        self._stdout.close()
        if self._state.final:
            return
        if code < 0 and self._restarts and not closed:
            self._restarts -= 1
            self._process = self._start_process()
            return
        message = f"the exporter ended with code {code}; see {self._folder / EXPORTER_LOG}"
        self._state = replace(self._state, state="failed", message=message)
