"""Process that holds locks."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from pgexp.runs.locking import lock

with ExitStack() as locks:
    for path in sys.argv[1:]:
        locks.enter_context(lock(Path(path)))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(*locks: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that holds some locks."""
    command = [sys.executable, "-c", HOLD, *map(str, locks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()
