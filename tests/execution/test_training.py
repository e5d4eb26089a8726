"""How long a command waits for its store once training has ended, on a clock that only waiting moves."""

import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from pgexp.execution import training
from pgexp.execution.plan import Job
from pgexp.execution.report import Report
from pgexp.execution.training import train_run
from pgexp.storage.sink import SinkState
from tests.conftest import Compose

FOREVER = 3600.0


class Sink:
    """A sink whose state follows from the seconds that it was waited for."""

    def __init__(self, state: Callable[[float], SinkState]) -> None:
        self._state = state
        self.waited = 0.0
        self.closed = False

    def wait(self, timeout: float) -> SinkState:
        assert self.waited < FOREVER, "it is waited for without end"
        state = self._state(self.waited)
        self.waited += 0 if state.final else timeout
        return state

    def state(self) -> SinkState:
        return self.wait(0)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def trained(clock: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sink], Report]:
    """Trains a run beside a sink."""

    def train(sink: Sink) -> Report:
        monkeypatch.setattr(training, "SinkProcess", SimpleNamespace(start=lambda folder, uri, growing: sink))
        monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: sink.waited, sleep=time.sleep))
        monkeypatch.chdir(tmp_path)
        return train_run(Job(clock(), tmp_path), Console(file=StringIO()))

    return train


def test_a_store_that_has_everything_is_not_waited_for(trained: Callable[[Sink], Report]) -> None:
    sink = Sink(lambda seconds: SinkState("done", ended=1, runs=1, rows=5))
    assert trained(sink).sink.state == "done"
    assert (sink.waited, sink.closed) == (0, True)


def test_a_store_that_gets_on_is_waited_for_however_long_it_takes(trained: Callable[[Sink], Report]) -> None:
    sink = Sink(lambda seconds: SinkState("recording" if seconds < 600 else "done", rows=int(seconds)))
    assert trained(sink).sink.state == "done"


@pytest.mark.parametrize(
    "state",
    [
        SinkState("recording", rows=5, message="MlflowException: the database is locked"),
        SinkState("opening"),  # as a server has it that takes a call and never answers
        SinkState("recording", rows=5),
    ],
    ids=["with an error", "while it is opened", "while it records"],
)
def test_a_store_that_no_longer_gets_on_is_given_up_within_a_minute_or_two(
    trained: Callable[[Sink], Report], state: SinkState
) -> None:
    sink = Sink(lambda seconds: state)
    report = trained(sink)
    assert (report.sink.state, sink.closed) == (state.state, True)
    assert sink.waited <= 120
    assert report.results[0].outcome is not None
