"""One run's way into MLflow: rows become points, and at its end its files become artifacts."""

import math
from collections.abc import Iterable
from pathlib import Path

from pgexp.schema.names import (
    LOG_FILE,
    METRICS_FILE,
    POLICY_FOLDER,
    PROVENANCE_FOLDER,
    ROWS_FILE,
    TAG_DRAINED,
    TAG_NONFINITE,
    TAG_REASON,
    TIMINGS_FILE,
    VIDEO_FOLDER,
)
from pgexp.storage.mlflow_client import Metric, MlflowClient, Run, RunTag
from pgexp.storage.spool import End, Row, SpoolReader
from pgexp.storage.tables import write_tables
from pgexp.storage.thinning import Thinning

_BATCH = 1000  # MLflow's limit on metrics and tags together, beyond which its client sends the tags first
_TAG_LENGTH = 5000  # below every store's limit
_KILLED = "the process that trained the run ended before it"


class MlflowSeed:
    """Brings one run's spool to its MLflow run; a call that the store interrupts may be made again."""

    def __init__(self, client: MlflowClient, run: Run, folder: Path, points: int) -> None:
        """Go on from what the store has of the run."""
        self._client = client
        self._id = run.info.run_id
        self._folder = folder
        self._spool = SpoolReader(folder / ROWS_FILE)
        self._thinning = Thinning(points)
        self._drained = int(run.data.tags.get(TAG_DRAINED, 0))
        self._nonfinite = 0
        self._damaged = False
        self._time = run.info.start_time
        self._pending: list[Metric] = []
        self._end: End | None = None
        self.rows = 0
        self.ended: End | None = None
        if run.info.status == "FINISHED":  # then nothing is left to do; a killed run may have gone on since
            self.rows, self.ended = self._drained, End("FINISHED", run.info.end_time)

    def drain(self) -> None:
        """Record what the run has appended since the last call and, once it has ended, how."""
        if self._end is None:
            self._take(self._read())
        self._send()
        if self._end is not None:
            self._finish(self._end)

    def kill(self) -> None:
        """Record what the run has appended, and that it will not go on."""
        self.drain()
        if self._end is None:
            self._take([End("KILLED", self._time, _KILLED)])
            self.drain()

    def _read(self) -> list[Row | End]:
        try:
            return self._spool.read()
        except ValueError as damage:
            self._damaged = True
            return [End("FAILED", self._time, str(damage))]

    def _take(self, items: Iterable[Row | End]) -> None:
        for item in items:
            self._time = item.time
            if isinstance(item, Row):
                self._count(item)
            self._end = item if isinstance(item, End) else None  # a run that went on has not ended
        rest = self._thinning.rest()
        if self._end is not None and rest is not None:
            self._keep(*rest)

    def _count(self, row: Row) -> None:
        self.rows += 1
        self._nonfinite += sum(not math.isfinite(value) for value in row.metrics.values())
        shown = self._thinning.choose(row)
        if self.rows > self._drained:
            self._keep(row, shown)

    def _keep(self, row: Row, metrics: dict[str, float]) -> None:
        """Keep a row's points until the store has them; what is not finite would spoil MLflow's charts."""
        points = (Metric(name, value, row.time, row.steps) for name, value in metrics.items())
        self._pending.extend(point for point in points if math.isfinite(point.value))

    def _send(self) -> None:
        while self._pending:
            tags = self._tags()
            batch = self._pending[: _BATCH - len(tags)]
            last = len(batch) == len(self._pending)
            self._client.log_batch(self._id, batch, tags=tags if last else ())
            del self._pending[: len(batch)]

    def _tags(self) -> list[RunTag]:
        """Return the tags that say how far the store has the run, true once no point is pending."""
        tags = {TAG_DRAINED: str(self.rows)}
        if self._nonfinite:
            tags[TAG_NONFINITE] = str(self._nonfinite)
        if self._end is not None and self._end.reason:
            tags[TAG_REASON] = self._end.reason[:_TAG_LENGTH]
        return [RunTag(name, value) for name, value in tags.items()]

    def _finish(self, end: End) -> None:
        if not self._damaged:
            write_tables(self._folder)
        log_files(self._client, self._id, self._folder)
        self._client.log_batch(self._id, tags=self._tags())
        self._client.set_terminated(self._id, end.status, end.time)
        self.ended = end


def log_files(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Log what a folder holds of the files worth keeping with its MLflow run."""
    for name in (METRICS_FILE, TIMINGS_FILE, LOG_FILE):
        if (folder / name).is_file():
            client.log_artifact(run_id, str(folder / name))
    for name in (POLICY_FOLDER, VIDEO_FOLDER, PROVENANCE_FOLDER):
        if (folder / name).is_dir():
            client.log_artifacts(run_id, str(folder / name), name)
    for config in sorted((folder / ".hydra").glob("*.yaml")):
        client.log_artifact(run_id, str(config), "config")
