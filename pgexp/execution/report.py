"""What became of a command's jobs, as their folders have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgexp.learning.evaluator import Outcome
from pgexp.schema.names import ROWS_FILE
from pgexp.storage.record import Record
from pgexp.storage.sink import SinkState
from pgexp.storage.spool import End, Row, SpoolReader


@dataclass(frozen=True)
class Result:
    """What became of a job."""

    folder: Path
    end: End | None  # None: it was not begun, or whoever trained it was killed
    values: Mapping[str, float]  # of each metric the last
    outcome: Outcome | None = None  # its final evaluation, where this process made it

    @property
    def is_done(self) -> bool:
        """Whether it came to its end, and well."""
        return self.end is not None and self.end.status == "FINISHED"

    @property
    def failure(self) -> str | None:
        """Why it failed, if it did."""
        return self.end.reason if self.end is not None and self.end.status == "FAILED" else None


@dataclass(frozen=True)
class Report:
    """What became of a command: each job's result, in order, what was recorded, and how MLflow stands."""

    results: Sequence[Result]
    record: Record
    sink: SinkState
    reused: int = 0  # of the jobs, those that had finished before

    @property
    def has_failed(self) -> bool:
        """Whether any of the runs failed."""
        return any(result.failure is not None for result in self.results)


def read_result(folder: Path, outcome: Outcome | None = None) -> Result:
    """Return what a run's folder tells. A ValueError names the file and line of damage."""
    values: dict[str, float] = {}
    end = None
    for item in SpoolReader(folder / ROWS_FILE).read():
        end = item if isinstance(item, End) else None
        if isinstance(item, Row):
            values |= item.metrics
    return Result(folder, end, values, outcome)
