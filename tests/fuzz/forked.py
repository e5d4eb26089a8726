"""Calls of a command's `main` in a fork of the test's process, which has loaded the heavy packages.

A fork has its own folder, environment, streams, memory and limits, so that an input does not affect the next one.
"""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.cli.console import WRITING, Answer

_SECONDS = 30  # of processor time
_MEMORY = 2 << 30  # bytes of address space in addition to that of the test's process


def run_in_fork(main: Callable[[], Any], scratch: Path, folder: Path, *argv: str) -> Answer:
    """Run a command in a folder, with its output in files in another one."""
    out, err = scratch / "out", scratch / "err"
    child = os.fork()
    if not child:
        _run(main, out, err, folder, argv)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = [path.read_bytes().decode(errors="surrogateescape") for path in (out, err)]
    return Answer(code, *texts)


def _run(main: Callable[[], Any], out: Path, err: Path, folder: Path, argv: Sequence[str]) -> NoReturn:
    code = 1
    try:
        _set_up(out, err, folder)
        sys.argv = list(argv)
        code = int(main() or 0)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 0 if stopped.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _set_up(out: Path, err: Path, folder: Path) -> None:
    for descriptor, (path, mode) in enumerate(((Path(os.devnull), os.O_RDONLY), (out, WRITING), (err, WRITING))):
        os.dup2(os.open(path, mode | os.O_TRUNC * (mode != os.O_RDONLY)), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", errors="backslashreplace") for descriptor in (1, 2))
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, resource.RLIM_INFINITY))
