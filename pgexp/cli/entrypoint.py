"""Entry point of the commands: standard streams, signals, exit codes, MLflow settings and key=value arguments."""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from rich.console import Console

from pgexp.cli.messages import (
    FAILED,
    INTERRUPTED,
    USAGE_ERROR,
    format_os_error,
    print_error,
    print_internal_error,
    print_problems,
)
from pgexp.schema.check import check
from pgexp.schema.config import parameters_of
from pgexp.schema.determinism import pin
from pgexp.schema.errors import Problem, UserError

_CONSTANTS = {"true": True, "false": False, "null": None}

Options = TypeVar("Options")


def run_command(command: str, work: Callable[[], int], interrupted: str) -> int:
    """Run a command and return its exit code.

    The exit code is the result of `work`, 1 after an I/O error or an internal error, 2 after a user's mistake, and 130
    after Ctrl-C, which prints the text `interrupted`.
    """
    ensure_stdio()
    pin()
    interrupt_at_sigterm()
    try:
        sys.path.insert(0, str(working_folder()))  # for a user's modules
        return work()
    except UserError as error:
        print_problems(error, command)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print_error(f"interrupted; {interrupted}", command)
        return INTERRUPTED
    except BrokenPipeError:
        discard_stdout()
        return FAILED
    except OSError as error:
        print_error(format_os_error(error), command)
        return FAILED
    except Exception as error:
        print_internal_error(error, command)
        return FAILED


def interrupt_at_sigterm() -> None:
    """Raise KeyboardInterrupt at SIGTERM. Only a main thread may set a handler."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def ensure_stdio() -> None:
    """Open closed standard streams on /dev/null, and let stdout and stderr encode any character.

    If a stream is closed, the next file that is opened gets its number, and receives what is printed.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: that of the stream
            setattr(sys, name, os.fdopen(null, "r" if descriptor == 0 else "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # the stream of a notebook is not, and encodes any character
            stream.reconfigure(errors="backslashreplace")
    logging.raiseExceptions = False  # a closed log stream is not an error
    atexit.register(_flush)


def working_folder() -> Path:
    """Return the working directory. Raises UserError if it was removed or cannot be read."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UserError.at("working directory", f"{error.strerror}. Change to another one") from error


def discard_stdout() -> None:
    """Redirect stdout to /dev/null, after its reader (for example, head) has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _flush() -> None:
    """Flush the streams at exit; if a reader has closed its pipe, to /dev/null, since Python would print an error."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class Terminal(Console):
    """Console whose reader may close the pipe. Rich would exit then, but training must continue."""

    def on_broken_pipe(self) -> None:
        """Stop printing."""
        self.quiet = True
        discard_stdout()


def print_plain(console: Console, text: str) -> None:
    """Print text unchanged: without markup, highlighting and wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def read_options(arguments: Sequence[str], kind: type[Options]) -> Options:
    """Return key=value arguments as a dataclass. Raises UserError with every mistake."""
    pairs, problems = _read_pairs(arguments)
    values, wrong = check(pairs, parameters_of(kind))
    if problems or wrong:
        raise UserError([*problems, *wrong])
    return kind(**values)


def read_pairs(arguments: Sequence[str]) -> dict[str, object]:
    """Return key=value arguments as a dict. Raises UserError with every mistake."""
    pairs, problems = _read_pairs(arguments)
    if problems:
        raise UserError(problems)
    return pairs


def _read_pairs(arguments: Sequence[str]) -> tuple[dict[str, object], list[Problem]]:
    problems = [Problem(text, "must have the form key=value") for text in arguments if "=" not in text]
    pairs = [(key, _value(text)) for key, sign, text in (item.partition("=") for item in arguments) if sign]
    keys = [key for key, _ in pairs]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    return dict(pairs), problems + [Problem(key, "must be set once only") for key in repeated]


def _value(text: str) -> object:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        return int(text)
    except ValueError:
        return text
