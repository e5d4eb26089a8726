"""A stub of training that appends rows to run logs, and the points that MLflow must then hold."""

import time
from collections.abc import Callable

from pgexp.storage.mlflow_client import connect
from pgexp.storage.record import Record
from pgexp.storage.sink import SinkProcess, SinkState
from pgexp.storage.spool import Row, SpoolWriter
from pgexp.storage.store_uri import full_uri

LONG = 120.0  # seconds until a test fails

Points = dict[str, list[tuple[int, int, float]]]
"""Points of each run by its name: steps, milliseconds, value."""


class StubTrainer:
    """Appends evaluations to the run logs of a sweep's runs."""

    def __init__(self, record: Record) -> None:
        self._runs = record.runs
        self._spools = [SpoolWriter(record.folder_of(run) / "rows.jsonl") for run in record.runs]
        self._steps = 0

    def train(self, updates: int) -> None:
        for _ in range(updates):
            self._steps += 1
            for number, spool in enumerate(self._spools):
                metrics = {"evaluation/return_mean": self._value(number, self._steps)}
                spool.append(Row(self._steps, self._steps / 1_000, 1_000 + self._steps, metrics))

    def end(self) -> None:
        for spool in self._spools:
            spool.end("FINISHED", complete=True)

    def expected(self) -> Points:
        """Return the points that MLflow must hold for each run."""
        return {
            run.name: [(step, 1_000 + step, self._value(number, step)) for step in range(1, self._steps + 1)]
            for number, run in enumerate(self._runs)
        }

    @staticmethod
    def _value(run: int, step: int) -> float:
        return 0.1 * step + run


def stored(record: Record) -> Points:
    """Return the points of each seed's run. Requires that the store holds each run of the sweep once, finished."""
    client = connect(full_uri(record.tracking.uri))
    found = client.search_runs([client.get_experiment_by_name(record.tracking.experiment).experiment_id])
    configurations = {run.configuration_name for run in record.runs}
    assert sorted(run.info.run_name for run in found) == sorted([record.name, *configurations, *trained(record)])
    assert {run.info.status for run in found} == {"FINISHED"}
    points = {}
    for run in found:
        if run.data.tags["pgexp.role"] == "run":
            files = {item.path for item in client.list_artifacts(run.info.run_id)}
            assert files == {"run.json", "metrics.parquet", "timings.parquet"}
            history = client.get_metric_history(run.info.run_id, "evaluation/return_mean")
            points[run.info.run_name] = sorted((point.step, point.timestamp, point.value) for point in history)
    return points


def trained(record: Record) -> list[str]:
    return [run.name for run in record.runs]


def wait_for(sink: SinkProcess, reached: Callable[[SinkState], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not reached(state := sink.wait(0.05)):
        assert not state.final, state.message
        assert time.monotonic() < deadline, state
