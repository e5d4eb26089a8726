"""One run's way into MLflow: rows become points, and at its end its files become artifacts."""

import math
from collections.abc import Iterable
from pathlib import Path

from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN, ROWS_FILE, TAG_DRAINED, TAG_NONFINITE, TAG_REASON
from pgexp.storage.mlflow_client import Metric, MlflowClient, MlflowException, Run, RunTag
from pgexp.storage.mlflow_files import log_files
from pgexp.storage.mlflow_model import log_model
from pgexp.storage.record import RunRecord
from pgexp.storage.spool import End, Item, Row, SpoolReader
from pgexp.storage.tables import write_tables
from pgexp.storage.thinning import Thinning

_BATCH = 1000  # MLflow's limit on metrics and tags together, beyond which its client sends the tags first
_TAG_LENGTH = 5000  # below every store's limit
_KILLED = "the process that trained the run ended before it"
_RUNNING = "RUNNING"
_MISSING = "RESOURCE_DOES_NOT_EXIST"


class MlflowSeed:
    """Brings one run's spool to its MLflow run; a call that the store interrupts may be made again."""

    def __init__(self, client: MlflowClient, run: Run, record: RunRecord, folder: Path, points: int) -> None:
        """Go on from what the store has of the run."""
        self._client = client
        self.seed = record.seed
        self._params = record.params
        self.run_id = run.info.run_id
        self._info = run.info
        self._folder = folder
        self._spool = SpoolReader(folder / ROWS_FILE)
        self._thinning = Thinning(points)
        self._stored = (run.info.status, run.info.end_time)
        self._has_reason = TAG_REASON in run.data.tags
        self._drained = int(run.data.tags.get(TAG_DRAINED, 0))
        self._read_rows = 0
        self._nonfinite = 0
        self._damaged = False
        self._time = run.info.start_time
        self._pending: list[Metric] = []
        self._end: End | None = None
        self._told: list[RunTag] = []  # the tags that the store was last given
        self.score: float | None = run.data.metrics.get(FINAL_RETURN)  # of its final evaluation, once there is one
        self.evaluations: dict[int, float] = {}  # its finite returns in training, by their steps
        self.rows = 0  # that the store has
        self.ended: End | None = None

    def drain(self) -> None:
        """Record what the run has appended since the last call and, once it has ended, how."""
        self._take_new()
        if self._end is None:
            self._go_on()
        self._bring()

    def kill(self) -> None:
        """Record what the run has appended, and that it will not go on."""
        self._take_new()
        if self._end is None:
            self._take([End("KILLED", self._time, _KILLED)])
        self._bring()

    def _take_new(self) -> None:
        if self._end is not None:
            return
        self._take(self._read())
        status, end_time = self._stored
        if self._drained and not self._spool.offset and status != _RUNNING:  # the folder is lost, the store is not
            self.rows, self.ended = self._drained, End(status, end_time)

    def _read(self) -> list[Item]:
        try:
            return self._spool.read()
        except ValueError as damage:
            self._damaged = True
            sound = self._spool.read_sound()
            return [*sound, End("FAILED", sound[-1].time if sound else self._time, str(damage))]

    def _take(self, items: Iterable[Item]) -> None:
        for item in items:
            self._time = item.time
            if isinstance(item, Row):
                self._count(item)
            self._end = item if isinstance(item, End) else None  # a run that went on has not ended
            if isinstance(item, End) and item.complete and (rest := self._thinning.rest()):
                self._keep(*rest)  # not before: a run that goes on has this row among those to choose from

    def _count(self, row: Row) -> None:
        self._read_rows += 1
        self._nonfinite += sum(not math.isfinite(value) for value in row.metrics.values())
        if math.isfinite(score := row.metrics.get(FINAL_RETURN, math.nan)):
            self.score = score
        if math.isfinite(evaluated := row.metrics.get(EVALUATION_RETURN, math.nan)):
            self.evaluations[row.steps] = evaluated
        shown = self._thinning.choose(row)
        if self._read_rows > self._drained:
            self._keep(row, shown)

    def _keep(self, row: Row, metrics: dict[str, float]) -> None:
        """Keep a row's points until the store has them; what is not finite would spoil MLflow's charts."""
        points = (Metric(name, value, row.time, row.steps) for name, value in metrics.items())
        self._pending.extend(point for point in points if math.isfinite(point.value))

    def _go_on(self) -> None:
        """Take back the end that the store has of a run that was resumed since."""
        if self.ended is None and self._stored[0] != _RUNNING:
            self._drop_reason()
            self._client.update_run(self.run_id, status=_RUNNING)
            self._stored = (_RUNNING, None)

    def _bring(self) -> None:
        if self.ended is not None:
            return
        end = self._end
        if end is not None and self._stored == (end.status, end.time) and self._read_rows <= self._drained:
            self._pending.clear()  # the store has it all, since a run's status is the last to be set
        else:
            self._send()
            if end is not None:
                self._finish(end)
        self.rows, self.ended = self._read_rows, end

    def _send(self) -> None:
        while self._pending:
            tags = self._tags()
            batch = self._pending[: _BATCH - len(tags)]
            last = len(batch) == len(self._pending)
            self._client.log_batch(self.run_id, batch, tags=tags if last else ())
            self._told = tags if last else []
            del self._pending[: len(batch)]

    def _tags(self) -> list[RunTag]:
        """Return the tags that say how far the store has the run, true once no point is pending."""
        tags = {TAG_DRAINED: str(self._read_rows)}
        if self._nonfinite:
            tags[TAG_NONFINITE] = str(self._nonfinite)
        if self._end is not None and self._end.reason:
            tags[TAG_REASON] = self._end.reason[:_TAG_LENGTH]
            self._has_reason = True
        return [RunTag(name, value) for name, value in tags.items()]

    def _finish(self, end: End) -> None:
        if not self._damaged:
            write_tables(self._folder)
        log_files(self._client, self._info, self._folder)
        if end.status == "FINISHED":
            log_model(self._client, self._info, self._params, self._folder)
        if (tags := self._tags()) != self._told:
            self._client.log_batch(self.run_id, tags=tags)
        if not end.reason:
            self._drop_reason()
        self._client.set_terminated(self.run_id, end.status, end.time)
        self._stored = (end.status, end.time)

    def _drop_reason(self) -> None:
        if not self._has_reason:
            return
        try:
            self._client.delete_tag(self.run_id, TAG_REASON)
        except MlflowException as error:
            if error.error_code != _MISSING:  # an earlier call, whose answer was lost, may have deleted it
                raise
        self._has_reason = False
