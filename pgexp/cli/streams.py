"""What a command needs of its caller: the standard streams, and a folder to work in."""

import atexit
import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from pgexp.schema.errors import ConfigError, Problem


def settle() -> None:
    """Make sure that all three streams are there, and that no letter is beyond them.

    Where one is closed, the next file that is opened would take its place, and be written into by whoever prints.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: the stream's own
            setattr(sys, name, os.fdopen(nowhere, "r" if descriptor == 0 else "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a notebook's is not, and takes every letter
            stream.reconfigure(errors="backslashreplace")
    logging.raiseExceptions = False  # a log's reader that has left is no error
    atexit.register(_let_go)


def working_folder() -> Path:
    """Return the folder that the command is called in. Raises ConfigError where it is gone, or can't be read."""
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError([Problem("the working directory", f"{error.strerror}; change to another one")]) from error


def hush() -> None:
    """Send to nowhere what is printed from now on: whoever read it, head say, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _let_go() -> None:
    """Write what still waits; where its reader has left, to nowhere: Python would complain as it ends."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class Terminal(Console):
    """A console whose reader may leave; rich ends the process then, but a training has to go on."""

    def on_broken_pipe(self) -> None:
        """Print nothing more."""
        self.quiet = True
        hush()
