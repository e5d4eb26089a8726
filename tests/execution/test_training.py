"""Wait for the export at the end of a command, on a clock that only waiting advances."""

import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from pgexp.execution import training
from pgexp.execution.jobs import Job
from pgexp.execution.results import SweepResult
from pgexp.execution.training import train_run
from pgexp.tracking.exporter import ExporterState
from tests.conftest import Compose

FOREVER = 3600.0


class FakeExporter:
    """An exporter whose state is a function of the seconds that the command has waited."""

    def __init__(self, state: Callable[[float], ExporterState]) -> None:
        self._state = state
        self.waited = 0.0
        self.closed = False

    def wait(self, timeout: float) -> ExporterState:
        assert self.waited < FOREVER, "the command waits forever"
        state = self._state(self.waited)
        self.waited += 0 if state.final else timeout
        return state

    def state(self) -> ExporterState:
        return self.wait(0)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def trained(clock: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeExporter], SweepResult]:
    """Return a function that trains a run with an exporter."""

    def train(exporter: FakeExporter) -> SweepResult:
        monkeypatch.setattr(training, "Exporter", SimpleNamespace(start=lambda folder, uri, growing: exporter))
        monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: exporter.waited, sleep=time.sleep))
        monkeypatch.chdir(tmp_path)
        return train_run(Job(clock(), tmp_path), Console(file=StringIO()))

    return train


def test_a_finished_export_is_not_waited_for(trained: Callable[[FakeExporter], SweepResult]) -> None:
    exporter = FakeExporter(lambda seconds: ExporterState("done", ended=1, runs=1, rows=5))
    assert trained(exporter).export.state == "done"
    assert (exporter.waited, exporter.closed) == (0, True)


def test_an_export_with_progress_is_waited_for(trained: Callable[[FakeExporter], SweepResult]) -> None:
    exporter = FakeExporter(lambda seconds: ExporterState("recording" if seconds < 600 else "done", rows=int(seconds)))
    assert trained(exporter).export.state == "done"


@pytest.mark.parametrize(
    "state",
    [
        ExporterState("recording", rows=5, message="MlflowException: the database is locked"),
        ExporterState("opening"),  # a server that accepts a connection and never answers
        ExporterState("recording", rows=5),
    ],
    ids=["with an error", "while it is opened", "while it records"],
)
def test_an_export_without_progress_is_given_up(
    trained: Callable[[FakeExporter], SweepResult], state: ExporterState
) -> None:
    exporter = FakeExporter(lambda seconds: state)
    report = trained(exporter)
    assert (report.export.state, exporter.closed) == (state.state, True)
    assert exporter.waited <= 120
    assert report.results[0].final_evaluation is not None
