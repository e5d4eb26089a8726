"""Commands that tests kill: forks of a process that has loaded the heavy packages."""

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

TIMEOUT = 240  # seconds for a command to end
OUTPUT = "output.txt"

Target = Literal["command", "exporter", "worker", "all"]

_LOADED = ["tests.conftest", "pgexp.cli.sweep", "pgexp.cli.training_report", "pgexp.execution.resume", "torch._dynamo"]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*_LOADED, "pgexp.tracking.export"])


def started(folder: Path, command: str, *arguments: str) -> BaseProcess:
    """Start `pgexp-<command>` in a folder, with its output in a file there."""
    process = _context.Process(target=_run, args=(str(folder), command, arguments))
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for the end of a command, and return its exit code."""
    process.join(TIMEOUT)
    assert process.exitcode is not None, "the command does not end"
    return process.exitcode


def kill(process: BaseProcess, target: Target, random: Random) -> Target:
    """Kill a command, its exporter, one of its workers, or all of these; return the target.

    If there is no exporter or worker yet, the command is killed.
    """
    with suppress(psutil.NoSuchProcess):
        command = psutil.Process(process.pid)
        below = command.children(recursive=True)
        exporters = [child for child in below if _is(child, "pgexp.tracking.export_process")]
        workers = [child for child in below if _is(child, "forkserver")]  # includes the fork server
        found: dict[Target, list[psutil.Process]] = {
            "exporter": exporters,
            "worker": [random.choice(workers)] if workers else [],
            "all": [command, *below],
            "command": [command],
        }
        target = target if found[target] else "command"
        for victim in found[target]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
    return target


def _is(process: psutil.Process, name: str) -> bool:
    try:
        return any(name in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _run(folder: str, command: str, arguments: Sequence[str]) -> NoReturn:
    os.chdir(folder)
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
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
