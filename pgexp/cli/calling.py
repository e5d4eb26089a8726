"""How a command other than `pgexp` is called: its streams, its settings, and what it says when something goes wrong."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from pgexp.cli.streams import hush, settle, working_folder
from pgexp.cli.telling import INTERRUPTED, MISTAKE, tell, told
from pgexp.schema.determinism import pin
from pgexp.schema.errors import ConfigError


def interrupt_at_sigterm() -> None:
    """Let SIGTERM interrupt the command as Ctrl-C does. Only a main thread may set it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def called(command: str, work: Callable[[], int], interrupted: str) -> int:
    """Do a command's work and return its exit code: 2 for a mistake, 1 for a disk's error, a line told for either."""
    settle()
    pin()
    interrupt_at_sigterm()
    try:
        sys.path.insert(0, str(working_folder()))  # a user's own modules stand where the command is called
        return work()
    except ConfigError as error:
        for problem in error.problems:
            tell(str(problem), command)
        return MISTAKE
    except KeyboardInterrupt:
        tell(f"interrupted; {interrupted}", command)
        return INTERRUPTED
    except BrokenPipeError:
        hush()
        return 1
    except OSError as error:
        tell(told(error), command)
        return 1
