"""The MLflow sink: it brings the spools of a record's runs into MLflow, where all runs stand from the start.

MLflow is a projection of the folders and may be made again: a second sink on the same record finds the runs
of the first and adds what is missing. One process drains a record: whoever makes a sink holds the record's lock.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from pgexp.schema.palette import COLOURS
from pgexp.storage import recorded
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run, SQLAlchemyError, connect
from pgexp.storage.mlflow_experiment import open_experiment
from pgexp.storage.mlflow_parents import ConfigurationScores, Parent, ParentStatus
from pgexp.storage.mlflow_reused import mark_reused
from pgexp.storage.mlflow_runs import MlflowRuns
from pgexp.storage.mlflow_seed import MlflowSeed
from pgexp.storage.mlflow_views import save_views
from pgexp.storage.record import Record, ReusedRun, RunRecord
from pgexp.storage.store_uri import full_uri

STORE_ERRORS: Final = (MlflowException, SQLAlchemyError, OSError)  # a lost server, a locked database: try again

_OUTAGES = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")  # the other codes are about one run


class MlflowSink:
    """Brings one record into MLflow; a call that the store interrupts may be made again."""

    def __init__(self, record: Record) -> None:
        """Take a written record; the store is first touched by ``open``."""
        self._record = record
        self._runs: MlflowRuns | None = None
        self._seeds: list[MlflowSeed] = []
        self._above: dict[int, Sequence[Parent]] = {}  # a configuration's, by the index of its last seed
        self._parents: Sequence[Parent] = ()  # all of them, lower ones first
        self.ended = 0  # how many runs have ended, as far as MLflow knows
        self.rows = 0  # how many rows of the spools the store has
        self.over = False  # every run has ended, and so have those above them
        self._next = 0  # the seed to begin with: one at which the store always fails holds up no other

    @property
    def is_open(self) -> bool:
        """Whether all runs stand in the store."""
        return self._runs is not None

    def open(self) -> None:
        """Make the store's schema, the experiment and all runs, or find them again."""
        for _ in self.opening():
            pass

    def opening(self) -> Iterator[int]:
        """Do as `open` does, and yield how many runs stand, as they do."""
        tracking = self._record.tracking
        uri = full_uri(tracking.uri)
        client = connect(uri)
        experiment = open_experiment(client, uri, tracking.experiment)
        runs = MlflowRuns(client, experiment, self._record)
        self._seeds, self._above = [], {}
        self.rows = self.ended = 0
        if self._record.sweep is None:
            self._parents = ()
            self._add(client, self._record.runs[0], runs.seed(self._record.runs[0], None))
        else:
            yield from self._open_sweep(client, experiment, runs, self._record.sweep)
        runs.settle()
        self._runs = runs

    def _open_sweep(self, client: MlflowClient, experiment: str, runs: MlflowRuns, sweep_id: str) -> Iterator[int]:
        """Make the runs from the top down, so that each has one above it, whenever the sink is killed."""
        top = runs.sweep()
        groups = _by_configuration([*self._record.runs, *self._record.reused])
        marked = mark_reused(client, experiment, sweep_id, self._record.reused)
        parents: list[Parent] = []
        for number, group in enumerate(groups):
            above = runs.configuration(group, top, COLOURS[number % len(COLOURS)])
            seeds = [self._add(client, run, runs.seed(run, above)) for run in group if isinstance(run, RunRecord)]
            reused = [run for run in group if isinstance(run, ReusedRun) and run.run_id in marked]
            both = (ConfigurationScores(client, above, seeds, reused), ParentStatus(client, above, seeds, None))
            self._above |= {len(self._seeds) - 1: both} if seeds else {}
            parents += both
            yield number + 1 + len(self._seeds)
        self._parents = [*parents, ParentStatus(client, top, self._seeds, self._record.folder)]
        save_views(client, experiment, sweep_id, top.info.start_time)

    def _add(self, client: MlflowClient, record: RunRecord, run: Run) -> MlflowSeed:
        folder, points = self._record.folder_of(record), self._record.tracking.points
        self._seeds.append(MlflowSeed(client, run, record, folder, points))
        return self._seeds[-1]

    def drain(self, kill: bool = False) -> Iterator[None]:
        """Bring over what was appended since the last time, and yield after each seed that got on.

        With `kill`, what has not ended will not go on, and is marked as killed. One refused run holds up no other;
        what it was refused for is raised at the end.
        """
        assert self._runs is not None
        refused: list[Exception] = []
        count = len(self._seeds)
        for index in [(self._next + i) % count for i in range(count)]:
            seed = self._seeds[index]
            try:
                if seed.ended is None and self._bring(seed, kill):
                    yield
                for parent in self._above.get(index, ()):
                    parent.follow()
            except STORE_ERRORS as error:
                if _is_outage(error):
                    self._next = (index + 1) % count
                    raise
                refused.append(error)
        for parent in self._parents:
            parent.follow()
        if refused:
            raise refused[0]
        if self.ended == count:
            self._runs.delete_twins()
            self.over = True
            recorded.mark(self._record)

    def _bring(self, seed: MlflowSeed, kill: bool) -> bool:
        """Bring over what a run has appended; return whether it had."""
        rows = seed.rows
        seed.kill() if kill else seed.drain()
        self.rows += seed.rows - rows
        self.ended += seed.ended is not None
        return seed.rows > rows or seed.ended is not None


def _by_configuration(runs: Sequence[RunRecord | ReusedRun]) -> list[list[RunRecord | ReusedRun]]:
    groups: dict[str, list[RunRecord | ReusedRun]] = {}
    for run in runs:
        groups.setdefault(run.configuration, []).append(run)
    return list(groups.values())


def _is_outage(error: Exception) -> bool:
    """Return whether it is the store that fails: then every other run would wait for it in vain, too."""
    return isinstance(error, MlflowException) and error.error_code in _OUTAGES
