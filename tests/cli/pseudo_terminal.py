"""Process in a pseudo-terminal, and the contents of its screen."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cli.console import LONGEST

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class PseudoTerminal:
    """Reading end of the terminal of a command."""

    def __init__(self, screen: int, process: subprocess.Popen[bytes]) -> None:
        self._screen = screen
        self.process = process
        self.raw = ""

    @property
    def text(self) -> str:
        """The output without control codes."""
        return _CODES.sub("", self.raw).replace("\r", "")

    def read_until(self, told: str) -> None:
        """Read until a text appears that was not there at the last call. Fails if the command ends before."""
        begun, deadline = len(self.raw), time.monotonic() + LONGEST
        while told not in _CODES.sub("", self.raw[begun:]):
            assert self._read(deadline), f"it never told {told!r}: {self.text}"

    def read_to_end(self) -> int:
        """Read until the command has ended, and return its exit code."""
        deadline = time.monotonic() + LONGEST
        while self._read(deadline):
            pass
        return self.process.wait(LONGEST)

    def _read(self, deadline: float) -> bool:
        assert time.monotonic() < deadline, f"it has not ended after {LONGEST} seconds: {self.text}"
        assert select.select([self._screen], [], [], LONGEST)[0], f"it says nothing more: {self.text}"
        with suppress(OSError):  # on Linux, the other side is closed
            if part := os.read(self._screen, 1 << 16):
                self.raw += part.decode()
                return True
        return False


@contextmanager
def in_terminal(folder: Path, module: str, *arguments: str, size: tuple[int, int]) -> Iterator[PseudoTerminal]:
    """Run a command's module in a folder and a terminal of a given size."""
    screen, side = pty.openpty()
    termios.tcsetwinsize(side, size)
    environment = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; from {module} import main; sys.exit(main())", *arguments],
        cwd=folder,
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment | {"TERM": "xterm"},
        preexec_fn=_accept_interrupts,
    )
    os.close(side)
    try:
        yield PseudoTerminal(screen, process)
    finally:
        process.kill()
        process.wait(LONGEST)
        os.close(screen)


def _accept_interrupts() -> None:
    """Restore SIGINT's default action, which a shell without job control sets to "ignore" for background processes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
