"""Commands to be killed, in processes of their own, forked from one that has loaded what takes seconds."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Literal, NoReturn

import psutil

LONGEST = 240  # seconds after which a command that does not end fails its test
SAID = "said.txt"

Whom = Literal["command", "sink", "worker", "all"]

_LOADED = ["tests.conftest", "pgexp.cli.sweep", "pgexp.cli.outcome", "pgexp.execution.extending", "torch._dynamo"]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*_LOADED, "pgexp.storage.mlflow_sink"])


def started(folder: Path, command: str, *arguments: str) -> BaseProcess:
    """Start `pgexp-<command>` in a folder; what it says goes to a file there."""
    process = _context.Process(target=_run, args=(str(folder), command, arguments))
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for a command's end, and return its exit code."""
    process.join(LONGEST)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode


def kill(process: BaseProcess, whom: Whom, random: Random) -> Whom:
    """Kill a command, its sink, one of its workers, or all of these, without a warning; return who was killed.

    Where there is no sink or worker yet, the command is killed itself.
    """
    with suppress(psutil.NoSuchProcess):
        command = psutil.Process(process.pid)
        below = command.children(recursive=True)
        sinks = [child for child in below if _is(child, "pgexp.storage.draining")]
        workers = [child for child in below if _is(child, "forkserver")]  # and what they fork from
        found: dict[Whom, list[psutil.Process]] = {
            "sink": sinks,
            "worker": [random.choice(workers)] if workers else [],
            "all": [command, *below],
            "command": [command],
        }
        whom = whom if found[whom] else "command"
        for victim in found[whom]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
    return whom


def _is(process: psutil.Process, name: str) -> bool:
    try:
        return any(name in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _run(folder: str, command: str, arguments: Sequence[str]) -> NoReturn:
    os.chdir(folder)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [f"pgexp-{command}", *arguments]
    main = import_module(f"pgexp.cli.{command}").main
    code = 1
    try:
        code = main() or 0
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)
