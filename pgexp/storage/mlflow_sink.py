"""The MLflow sink: it brings the spools of a record's runs into MLflow, where all runs stand from the start.

MLflow is a projection of the folders and may be made again: a second sink on the same record finds the runs
of the first and adds what is missing. One process writes a store: several that open a fresh one break it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run, connect
from pgexp.storage.mlflow_runs import MlflowRuns
from pgexp.storage.mlflow_seed import MlflowSeed, log_files
from pgexp.storage.record import Record, RunRecord
from pgexp.storage.spool import End, Status

STORE_ERRORS: Final = (MlflowException, OSError)  # a lost server, a locked database: another try may mend it

_OUTAGES = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")  # the other codes are about one run


@dataclass(frozen=True)
class _Parent:
    """A run of MLflow that ends when all the seeds below it have."""

    client: MlflowClient
    id: str
    seeds: Sequence[MlflowSeed]
    folder: Path | None  # whose files are logged with it

    def close(self) -> bool:
        """End the run if its time has come; return whether it has."""
        ends = [seed.ended for seed in self.seeds if seed.ended is not None]
        if len(ends) < len(self.seeds):
            return False
        if self.folder is not None:
            log_files(self.client, self.id, self.folder)
        self.client.set_terminated(self.id, _joint_status(ends), max(end.time for end in ends))
        return True


class MlflowSink:
    """Brings one record into MLflow; a call that the store interrupts may be made again."""

    def __init__(self, record: Record) -> None:
        """Take a written record; the store is first touched by ``open``."""
        self._record = record
        self._seeds: list[MlflowSeed] = []
        self._parents: list[_Parent] = []  # those which have not ended, lower ones first

    @property
    def ended(self) -> int:
        """How many runs have ended, as far as MLflow knows."""
        return sum(seed.ended is not None for seed in self._seeds)

    @property
    def rows(self) -> int:
        """How many rows of the spools were read."""
        return sum(seed.rows for seed in self._seeds)

    def open(self) -> None:
        """Make the store's schema, the experiment and all runs, or find them again."""
        client = connect(self._record.tracking.uri)
        runs = MlflowRuns(client, self._record)
        points = self._record.tracking.points
        self._seeds, self._parents = [], []

        def seed(run: RunRecord, parent: Run | None) -> MlflowSeed:
            return MlflowSeed(client, runs.seed(run, parent), self._record.folder_of(run), points)

        if self._record.sweep is None:
            self._seeds = [seed(self._record.runs[0], None)]
            return
        sweep = runs.sweep()
        for group in _by_configuration(self._record.runs):
            configuration = runs.configuration(group, sweep)
            seeds = [seed(run, configuration) for run in group]
            self._seeds += seeds
            self._parents.append(_Parent(client, configuration.info.run_id, seeds, None))
        self._parents.append(_Parent(client, sweep.info.run_id, self._seeds, self._record.folder))

    def drain(self) -> bool:
        """Bring over what was appended since the last call; return whether every run has ended."""
        self._for_open_seeds(MlflowSeed.drain)
        return self.ended == len(self._seeds)

    def close_killed(self) -> None:
        """Bring over what was appended, and mark what has not ended as killed."""
        self._for_open_seeds(MlflowSeed.kill)

    def _for_open_seeds(self, act: Callable[[MlflowSeed], None]) -> None:
        """Act on each seed that has not ended, then on the parents; one refused seed holds up no other."""
        refused: list[Exception] = []
        for seed in self._seeds:
            try:
                if seed.ended is None:
                    act(seed)
            except STORE_ERRORS as error:
                if _is_outage(error):
                    raise
                refused.append(error)
        self._parents = [parent for parent in self._parents if not parent.close()]
        if refused:
            raise refused[0]


def _by_configuration(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(run.configuration, []).append(run)
    return list(groups.values())


def _is_outage(error: Exception) -> bool:
    """Return whether it is the store that fails: then every other run would wait for it in vain, too."""
    return isinstance(error, MlflowException) and error.error_code in _OUTAGES


def _joint_status(ends: Sequence[End]) -> Status:
    """Return how runs ended together: killed if any was, failed if all did."""
    statuses = {end.status for end in ends}
    return "KILLED" if "KILLED" in statuses else "FAILED" if statuses == {"FAILED"} else "FINISHED"
