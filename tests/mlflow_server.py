"""A real `mlflow server` on the loopback interface, which can be killed, paused and restarted."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

_TIMEOUT = 120.0  # seconds until a server that does not answer fails its test


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class MlflowServer:
    """A server with its own port, running or not."""

    def __init__(self, backend: str, folder: Path, options: Sequence[str] = ()) -> None:
        self._port = free_port()
        self._folder = folder
        artifacts = options or ("--artifacts-destination", str(folder / "artifacts"))
        address = ("--host", "127.0.0.1", "--port", str(self._port), "--workers", "1")
        self._command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend, *address, *artifacts]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server, if it is not running, and wait until it answers."""
        if self._process is not None:
            return
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # saves half of the start
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, env=environment, start_new_session=True
            )
        deadline = time.monotonic() + _TIMEOUT
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of the server's processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kill all of the server's processes."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
