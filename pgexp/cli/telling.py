"""Tells the user what went wrong, a line each, on standard error."""

import errno
import os
import sys
from contextlib import suppress
from typing import NoReturn

from pgexp.schema.errors import ConfigError

FAILED = 1  # the exit code where a run failed, or an error stopped the command
MISTAKE = 2  # the exit code of a mistake in the command, as argparse has it
INTERRUPTED = 130  # the exit code of Ctrl-C, as shells have it

_failures: list[int] = []  # the exit code of a command that has failed, and goes on for now

_LONGEST = 2000  # characters of a line: a value may be of any length
_REMEDIES = {
    errno.ENOSPC: "make room there, or choose another folder",
    errno.EDQUOT: "make room in your quota, or choose another folder",
    errno.EFBIG: "raise the limit on a file's size (ulimit -f), or choose another folder",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that can be written to, or change its permissions",
    errno.EPERM: "choose a folder that can be written to, or change its permissions",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EEXIST: "move away what stands there, or choose another folder",
    errno.ENOTDIR: "move away what stands there, or choose another folder",
    errno.EISDIR: "move away what stands there, or choose another folder",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or train fewer runs at once",
}


def refuse(error: ConfigError) -> NoReturn:
    """Tell every problem of a config, and exit."""
    for problem in error.problems:
        tell(str(problem))
    sys.exit(MISTAKE)


def fail_at_last() -> None:
    """Let the command end as one that failed, whatever else it does well."""
    _failures.append(FAILED)


def exit_code() -> int:
    """Return the code with which a command ends that has come to its end."""
    return max(_failures, default=0)


def tell(text: str, command: str = "pgexp") -> None:
    """Print a line; what would break it, or do something to the terminal, is written as Python writes it."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    with suppress(OSError):  # nobody may be listening
        print(f"{command}: {line}", file=sys.stderr, flush=True)


def told(error: OSError) -> str:
    """Return what a system's error says of a file: its path, what is wrong, and what to do about it."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
    remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
    return f"{where}{error.strerror or error}{remedy}"
