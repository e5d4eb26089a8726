"""A stub of training that appends rows to run logs, and the points that MLflow must have afterwards."""

import time
from collections.abc import Callable

from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking.client import connect
from pgexp.tracking.exporter import Exporter, ExporterState
from pgexp.tracking.store import full_uri

LONG = 120.0  # seconds until a test fails

Points = dict[str, list[tuple[int, int, float]]]
"""Points of each run by its name: steps, milliseconds, value."""


class StubTrainer:
    """Appends final evaluations, of which MLflow gets all points, to the run logs of a sweep."""

    def __init__(self, manifest: SweepManifest) -> None:
        self._runs = manifest.runs
        self._logs = [RunLogWriter(manifest.folder_of(run) / "rows.jsonl") for run in manifest.runs]
        self._steps = 0

    def train(self, updates: int) -> None:
        for _ in range(updates):
            self._steps += 1
            for number, log in enumerate(self._logs):
                metrics = {"final/return_mean": self._value(number, self._steps)}
                log.append(Row(self._steps, self._steps / 1_000, 1_000 + self._steps, metrics, Phase.FINAL))

    def end(self) -> None:
        for log in self._logs:
            log.end(RunState.FINISHED, complete=True)

    def expected(self) -> Points:
        """Return the points that MLflow must have per run."""
        return {
            run.name: [(step, 1_000 + step, self._value(number, step)) for step in range(1, self._steps + 1)]
            for number, run in enumerate(self._runs)
        }

    @staticmethod
    def _value(run: int, step: int) -> float:
        return 0.1 * step + run


def stored(manifest: SweepManifest) -> Points:
    """Return the points per seed. Assert that each run of the sweep exists once and is finished."""
    client = connect(full_uri(manifest.tracking.uri))
    found = client.search_runs([client.get_experiment_by_name(manifest.tracking.experiment).experiment_id])
    configurations = {run.configuration_name for run in manifest.runs}
    assert sorted(run.info.run_name for run in found) == sorted(
        [manifest.name, *configurations, *(run.name for run in manifest.runs)]
    )
    assert {run.info.status for run in found} == {"FINISHED"}
    points = {}
    for run in found:
        if run.data.tags["pgexp.role"] == "run":
            files = {item.path for item in client.list_artifacts(run.info.run_id)}
            assert files == {"run.json", "metrics.parquet", "timings.parquet"}
            history = client.get_metric_history(run.info.run_id, "final/return_mean")
            points[run.info.run_name] = sorted((point.step, point.timestamp, point.value) for point in history)
    return points


def wait_for(exporter: Exporter, reached: Callable[[ExporterState], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not reached(state := exporter.wait(0.05)):
        assert not state.final, state.message
        assert time.monotonic() < deadline, state
