"""A pack as a unit of work: what a worker is handed. It pickles, and to load it loads neither torch nor MLflow."""

from dataclasses import dataclass
from pathlib import Path

from pgexp.execution.plan import Job


@dataclass(frozen=True)
class Order:
    """Runs that a worker trains one after the other, from their last checkpoints.

    The configs hold the secrets that are masked in the runs' folders: an order is kept nowhere once a worker has it.
    """

    token: str  # of the command that gives it; see `commanding`
    number: int  # of the pack, counted from 0 within the command
    folder: Path  # of the record that the runs are of; all workers see it, at the same place
    jobs: tuple[Job, ...]
    path: tuple[str, ...]  # the import path of the command: a user's own modules are found along it
