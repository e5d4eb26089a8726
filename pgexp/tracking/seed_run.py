"""Export of one run to MLflow: rows become points of curves, and files become artifacts at the run's end."""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from pgexp.runs.files import read_json
from pgexp.runs.manifest import RunEntry, Tracking
from pgexp.runs.metric_tables import write_tables
from pgexp.runs.run_log import End, Item, Row, RunLogReader, RunState
from pgexp.schema.errors import UserError
from pgexp.schema.names import (
    CONFIG_FILE,
    EVALUATION_RETURN,
    FINAL_RETURN,
    METRICS_FILE,
    ROWS_FILE,
    TAG_NONFINITE,
    TAG_PROVENANCE,
    TAG_PRUNED,
    TAG_REASON,
    TAG_ROWS_SYNCED,
)
from pgexp.tracking.artifacts import SharedProvenance, log_files
from pgexp.tracking.client import Metric, MlflowClient, MlflowException, Param, Run, RunTag
from pgexp.tracking.downsampling import Downsampler

_MAX_BATCH = 1000  # MLflow's limit on metrics, params and tags per call
_MAX_PARAMS = 100  # MLflow's limit on params per call
_TAG_LENGTH = 5000  # below the limit of every store
_KILLED_REASON = "the process that trained the run ended before it"
_MISSING = "RESOURCE_DOES_NOT_EXIST"


class SeedExport:
    """Export of one run's log to its MLflow run. After an error of the store a call can be repeated."""

    def __init__(
        self,
        client: MlflowClient,
        run: Run,
        entry: RunEntry,
        folder: Path,
        tracking: Tracking,
        params: Sequence[Param] = (),
        provenance: SharedProvenance | None = None,
    ) -> None:
        """Continue from what the store has of the run.

        Args:
            client: of the store.
            run: the MLflow run.
            entry: the run in its manifest.
            folder: the run's folder.
            tracking: the selection of curves.
            params: those that the MLflow run lacks; they are sent with the first batch.
            provenance: of the run's sweep, if it has one.
        """
        self._client = client
        self.seed = entry.seed
        self._params = list(params)
        self._provenance = provenance
        self.run_id = run.info.run_id
        self._info = run.info
        self._folder = folder
        self._log = RunLogReader(folder / ROWS_FILE)
        self._downsampler = Downsampler(tracking.max_points, tracking.metrics)
        self._stored = (run.info.status, run.info.end_time)
        self._is_pruned = TAG_PRUNED in run.data.tags
        self._has_reason = TAG_REASON in run.data.tags
        self._rows_synced = int(run.data.tags.get(TAG_ROWS_SYNCED, 0))
        self._rows_read = 0
        self._nonfinite = 0
        self._is_damaged = False
        self._was_cut = False  # whether its process ended before it could end the run's log
        self._time = run.info.start_time
        self._pending: list[Metric] = []
        self._end: End | None = None
        self._sent_tags: dict[str, str] = {}
        self._provenance_folder: str | None = None  # artifact folder of the sweep's MLflow run
        self.score: float | None = run.data.metrics.get(FINAL_RETURN)  # of its final evaluation
        self.evaluations: dict[int, float] = {}  # finite returns of evaluations during training, by steps
        self.rows = 0  # that the store has
        self.ended: End | None = None

    def export_rows(self) -> None:
        """Export the rows since the last call and, if the run has ended, its end."""
        self._read_new()
        if self._end is None:
            self._undo_end()
        self._export()

    def export_killed(self) -> None:
        """Export the rows since the last call, and mark a run without an end as killed."""
        self._read_new()
        if self._end is None:
            self._process([End(RunState.KILLED, self._time, _KILLED_REASON)])
            self._was_cut = True
        self._export()

    def _read_new(self) -> None:
        if self._end is not None:
            return
        try:
            items = self._log.read()
        except ValueError as damage:
            self._is_damaged = True
            intact = self._log.read_intact()
            items = [*intact, End(RunState.FAILED, intact[-1].time if intact else self._time, str(damage))]
        self._process(items)
        status, end_time = self._stored
        if self._rows_synced and not self._log.offset and status != RunState.RUNNING:  # the folder is lost
            end = End(RunState.PRUNED if self._is_pruned else RunState(status), end_time)
            self.rows, self.ended = self._rows_synced, end

    def _process(self, items: Iterable[Item]) -> None:
        for item in items:
            self._time = item.time
            if isinstance(item, Row):
                self._process_row(item)
            self._end = item if isinstance(item, End) else None  # an end before a resumption does not count
            if isinstance(item, End) and item.complete:
                for row, name, value in self._downsampler.rest():
                    self._add_points(row, {name: value})

    def _process_row(self, row: Row) -> None:
        self._rows_read += 1
        self._nonfinite += sum(not math.isfinite(value) for value in row.metrics.values())
        if math.isfinite(score := row.metrics.get(FINAL_RETURN, math.nan)):
            self.score = score
        if math.isfinite(evaluated := row.metrics.get(EVALUATION_RETURN, math.nan)):
            self.evaluations[row.steps] = evaluated
        points = self._downsampler.choose(row)
        if self._rows_read > self._rows_synced:
            self._add_points(row, points)

    def _add_points(self, row: Row, metrics: dict[str, float]) -> None:
        """Queue a row's finite points. Others would break MLflow's charts."""
        points = (Metric(name, value, row.time, row.steps) for name, value in metrics.items())
        self._pending.extend(point for point in points if math.isfinite(point.value))

    def _undo_end(self) -> None:
        """Remove the end that the store has of a run that was resumed since."""
        if self.ended is None and self._stored[0] != RunState.RUNNING:
            self._delete_reason()
            self._client.update_run(self.run_id, status=RunState.RUNNING)
            self._stored = (RunState.RUNNING, None)

    def _export(self) -> None:
        if self.ended is not None:
            return
        end = self._end
        if end is None:
            self._send_points()
        elif self._stored == (mlflow_status(end.status), end.time) and self._rows_read <= self._rows_synced:
            self._pending.clear()  # the store is complete, because a run's status is set last
        else:
            self._finish(end)
        self.rows, self.ended = self._rows_read, end
        if end is not None:
            self._downsampler = Downsampler(1)  # frees the latest values

    def _send_points(self) -> None:
        if len(self._params) > _MAX_PARAMS:
            self._client.log_batch(self.run_id, params=self._params)
            self._params.clear()
        while self._pending or self._params:
            tags = self._tags()
            batch = self._pending[: _MAX_BATCH - len(tags) - len(self._params)]
            is_last = len(batch) == len(self._pending)
            sent = [RunTag(name, value) for name, value in tags.items()] if is_last and batch else []
            self._client.log_batch(self.run_id, batch, self._params, sent)
            self._sent_tags = tags if sent else {}
            self._params.clear()
            del self._pending[: len(batch)]

    def _tags(self) -> dict[str, str]:
        """Return the tags with the progress of the export, which are valid once no point is pending."""
        tags = {TAG_ROWS_SYNCED: str(self._rows_read)}
        if self._nonfinite:
            tags[TAG_NONFINITE] = str(self._nonfinite)
        if self._end is not None and self._end.reason:
            tags[TAG_REASON] = self._end.reason[:_TAG_LENGTH]
            self._has_reason = True
        if self._end is not None and self._end.status == RunState.PRUNED:
            tags[TAG_PRUNED] = "true"
        if self._provenance_folder is not None:
            tags[TAG_PROVENANCE] = self._provenance_folder
        return tags

    def _finish(self, end: End) -> None:
        if not self._is_damaged and (self._was_cut or not (self._folder / METRICS_FILE).is_file()):
            write_tables(self._folder)  # a run that ends itself has written them
        if self._provenance is not None:
            self._provenance_folder = self._provenance.log(self._folder)
        log_files(self._client, self._info, self._folder, self._provenance)
        self._send_points()
        if end.status == RunState.FINISHED:
            self._register()
        if (tags := self._tags()) != self._sent_tags:
            self._client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        if not end.reason:
            self._delete_reason()
        stored = mlflow_status(end.status), end.time
        self._client.set_terminated(self.run_id, *stored)
        self._stored = stored

    def _register(self) -> None:
        """Register the policy as a version of the model that the run's config names, if any."""
        try:
            model = read_json(self._folder / CONFIG_FILE)["registry"]["name"]
        except (ValueError, LookupError, TypeError):  # the rest of the run is exported nevertheless
            return
        if model is None:
            return

        from pgexp.tracking.models import export_model  # takes a second, and most runs register no model

        try:
            export_model(self._client, self._info, self._folder, model)
        except UserError as error:
            logging.warning("No model of %s: %s", self.run_id, error)

    def _delete_reason(self) -> None:
        if not self._has_reason:
            return
        try:
            self._client.delete_tag(self.run_id, TAG_REASON)
        except MlflowException as error:
            if error.error_code != _MISSING:  # an earlier call, whose answer was lost, may have deleted it
                raise
        self._has_reason = False


def mlflow_status(state: RunState) -> RunState:
    """Return MLflow's status of a run: a pruned one is KILLED with TAG_PRUNED, because MLflow has no such status."""
    return RunState.KILLED if state == RunState.PRUNED else state
