"""Order: the runs that a worker gets at once. It pickles, and loading it imports neither torch nor MLflow."""

from dataclasses import dataclass
from pathlib import Path

from pgexp.execution.plan import Job


@dataclass(frozen=True)
class Order:
    """A run, or a few short ones, that a worker trains one after the other, each from its last checkpoint.

    The configs hold the secrets that are masked in the runs' folders. No order is kept once a worker has it.
    """

    token: str  # of the command, see `commanding`
    number: int  # counted from 1 within the command
    folder: Path  # of the record that the runs are of; all workers see it under the same path
    jobs: tuple[Job, ...]
    path: tuple[str, ...]  # the import path of the command, along which a user's own modules are found
