"""The MLflow sink: it brings the spools of a record's runs into MLflow, where all runs stand from the start.

MLflow is a projection of the folders and may be made again: a second sink on the same record finds the runs
of the first and adds what is missing. One process drains a record: whoever makes a sink holds the record's lock.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run, SQLAlchemyError, connect
from pgexp.storage.mlflow_experiment import open_experiment
from pgexp.storage.mlflow_files import log_files
from pgexp.storage.mlflow_runs import MlflowRuns
from pgexp.storage.mlflow_seed import MlflowSeed
from pgexp.storage.record import Record, RunRecord
from pgexp.storage.spool import End, Status
from pgexp.storage.store_uri import full_uri

STORE_ERRORS: Final = (MlflowException, SQLAlchemyError, OSError)  # a lost server, a locked database: try again

_OUTAGES = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")  # the other codes are about one run


class _Parent:
    """A run of MLflow whose status follows from those of the seeds below it."""

    def __init__(self, client: MlflowClient, run: Run, seeds: Sequence[MlflowSeed], folder: Path | None) -> None:
        """Go on from what the store has of the run; the files of a folder, if it has one, are logged with it."""
        self._client = client
        self._id = run.info.run_id
        self._seeds = seeds
        self._folder = folder
        self._stored = (run.info.status, run.info.end_time)

    def follow(self) -> None:
        """End the run once all seeds have, and let it go on with the first that does."""
        ends = [seed.ended for seed in self._seeds if seed.ended is not None]
        if len(ends) == len(self._seeds):
            end = (_joint_status(ends), max(end.time for end in ends))
            if self._stored != end:
                if self._folder is not None:
                    log_files(self._client, self._id, self._folder)
                self._client.set_terminated(self._id, *end)
                self._stored = end
        elif self._stored[0] != "RUNNING":
            self._client.update_run(self._id, status="RUNNING")
            self._stored = ("RUNNING", None)


class MlflowSink:
    """Brings one record into MLflow; a call that the store interrupts may be made again."""

    def __init__(self, record: Record) -> None:
        """Take a written record; the store is first touched by ``open``."""
        self._record = record
        self._runs: MlflowRuns | None = None
        self._seeds: list[MlflowSeed] = []
        self._parents: list[_Parent] = []  # lower ones first
        self.over = False  # every run has ended, and so have those above them
        self._next = 0  # the seed to begin with: one at which the store always fails holds up no other

    @property
    def is_open(self) -> bool:
        """Whether all runs stand in the store."""
        return self._runs is not None

    @property
    def ended(self) -> int:
        """How many runs have ended, as far as MLflow knows."""
        return sum(seed.ended is not None for seed in self._seeds)

    @property
    def rows(self) -> int:
        """How many rows of the spools the store has."""
        return sum(seed.rows for seed in self._seeds)

    def open(self) -> None:
        """Make the store's schema, the experiment and all runs, or find them again."""
        tracking = self._record.tracking
        uri = full_uri(tracking.uri)
        client = connect(uri)
        runs = MlflowRuns(client, open_experiment(client, uri, tracking.experiment), self._record)
        self._seeds, self._parents = [], []
        if self._record.sweep is None:
            self._add(client, self._record.runs, runs.seeds(self._record.runs, None))
        else:
            sweep = runs.sweep()
            groups = _by_configuration(self._record.runs)
            for group, configuration in zip(groups, runs.configurations(groups, sweep), strict=True):
                added = self._add(client, group, runs.seeds(group, configuration))
                self._parents.append(_Parent(client, configuration, added, None))
            self._parents.append(_Parent(client, sweep, self._seeds, self._record.folder))
        self._runs = runs

    def _add(self, client: MlflowClient, records: Sequence[RunRecord], runs: Sequence[Run]) -> list[MlflowSeed]:
        points = self._record.tracking.points
        added = [
            MlflowSeed(client, run, self._record.folder_of(record), points)
            for record, run in zip(records, runs, strict=True)
        ]
        self._seeds += added
        return added

    def drain(self, kill: bool = False) -> Iterator[None]:
        """Bring over what was appended since the last time, and yield after each seed.

        With `kill`, what has not ended will not go on, and is marked as killed. One refused seed holds up no other;
        what it was refused for is raised at the end.
        """
        assert self._runs is not None
        refused: list[Exception] = []
        count = len(self._seeds)
        for index in [(self._next + i) % count for i in range(count)]:
            seed = self._seeds[index]
            try:
                seed.kill() if kill else seed.drain()
            except STORE_ERRORS as error:
                if _is_outage(error):
                    self._next = (index + 1) % count
                    raise
                refused.append(error)
            yield
        for parent in self._parents:
            parent.follow()
        if refused:
            raise refused[0]
        if self.ended == count:
            self._runs.look_up(restore=False)  # a server that hung may have made a run twice since
            self.over = True


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
