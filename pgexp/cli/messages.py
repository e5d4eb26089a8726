"""Exit codes and error messages of the commands."""

import errno
import os
import sys
import traceback
from contextlib import suppress

from pgexp.schema.errors import UserError

FAILED = 1  # exit code if a run failed, a file could not be written, or an internal error stopped the command
USAGE_ERROR = 2  # exit code of a user's mistake, as in argparse
INTERRUPTED = 130  # exit code after Ctrl-C, as in shells

_MAX_LENGTH = 2000  # characters of a line, since a value may have any length
_REMEDIES = {
    errno.ENOSPC: "Free disk space, or choose another folder",
    errno.EDQUOT: "Free space in your quota, or choose another folder",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f), or choose another folder",
    errno.EROFS: "Choose a writable folder",
    errno.EACCES: "Choose a writable folder, or change its permissions",
    errno.EPERM: "Choose a writable folder, or change its permissions",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.EEXIST: "Move the existing file away, or choose another folder",
    errno.ENOTDIR: "Move the existing file away, or choose another folder",
    errno.EISDIR: "Move the existing folder away, or choose another name",
    errno.EMFILE: "Raise the limit on open files (ulimit -n), or train fewer runs at the same time",
}


def print_error(text: str, command: str = "pgexp") -> None:
    """Print one line to standard error. Control characters are escaped, and a long text is shortened."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    if len(line) > _MAX_LENGTH:
        line = f"{line[: _MAX_LENGTH // 2]} ... {line[-_MAX_LENGTH // 2 :]}"
    with suppress(OSError):  # standard error may be closed
        print(f"{command}: {line}", file=sys.stderr, flush=True)


def print_problems(error: UserError, command: str = "pgexp") -> None:
    """Print one line per problem to standard error."""
    for problem in error.problems:
        print_error(str(problem), command)


def print_internal_error(error: BaseException, command: str = "pgexp") -> None:
    """Print the traceback of an unexpected exception, and a line that asks for a report."""
    with suppress(OSError):
        traceback.print_exception(error)
    print_error(f"internal error ({type(error).__name__}). Please report it with the traceback above", command)


def format_os_error(error: OSError) -> str:
    """Return a message with the path, the reason and a remedy."""
    path = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
    remedy = f". {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
    return f"{path}{error.strerror or error}{remedy}"
