"""Who commands a record's workers: the command whose token stands in its folder, or nobody.

A worker looks at it now and then, wherever it is, and stops at its next update once it is not its own command's: since
that was interrupted, or since another has taken over. So one that outlives its command does not train beside its
successor, and neither does one that still waited for its turn.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from pgexp.storage.files import write_text

COMMAND_FILE: Final = ".command"
PRUNE_FILE: Final = ".prune"  # in a run's folder: it is to stop, and does not continue


def take_over(folder: Path, token: str) -> None:
    """Let the workers of a token train, and no others."""
    write_text(folder / COMMAND_FILE, token)


def dismiss(folder: Path) -> None:
    """Let every worker keep its runs' checkpoints at the next update, and stop."""
    with suppress(FileNotFoundError):
        (folder / COMMAND_FILE).unlink()


def prune(run_folder: Path) -> None:
    """Have a run stop at its next update, for good."""
    run_folder.mkdir(parents=True, exist_ok=True)
    write_text(run_folder / PRUNE_FILE, "")


def is_pruned(run_folder: Path) -> bool:
    """Return whether a run is to stop for good."""
    return (run_folder / PRUNE_FILE).exists()


def is_in_command(folder: Path, token: str) -> bool:
    """Return whether the workers of a token are to train on."""
    try:
        return (folder / COMMAND_FILE).read_text(encoding="utf-8") == token
    except FileNotFoundError:
        return False
