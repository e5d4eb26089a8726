"""Lease of a command on a sweep folder: workers train only while the folder holds their command's token.

A worker checks the lease several times per second, on any machine, and stops at the next update once it is lost: the
command was interrupted, or another command has acquired it. So a worker that outlives its command does not train at the
same time as the workers of the next command.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from pgexp.runs.files import write_text

LEASE_FILE: Final = ".lease"  # in a sweep's folder
PRUNE_FILE: Final = ".prune"  # in a run's folder: the run stops and cannot be resumed


def acquire(folder: Path, token: str) -> None:
    """Let only workers with this token train in a sweep's folder."""
    write_text(folder / LEASE_FILE, token)


def release(folder: Path) -> None:
    """Stop all workers of a sweep's folder at their next update, with checkpoints."""
    with suppress(FileNotFoundError):
        (folder / LEASE_FILE).unlink()


def is_held(folder: Path, token: str) -> bool:
    """Return whether workers with this token may train."""
    try:
        return (folder / LEASE_FILE).read_text(encoding="utf-8") == token
    except FileNotFoundError:
        return False


def prune(run_folder: Path) -> None:
    """Stop a run for good at its next update."""
    run_folder.mkdir(parents=True, exist_ok=True)
    write_text(run_folder / PRUNE_FILE, "")


def is_pruned(run_folder: Path) -> bool:
    """Return whether a run was stopped for good."""
    return (run_folder / PRUNE_FILE).exists()
