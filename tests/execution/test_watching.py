"""Message about an unreachable store while runs train: one line, once, and not for a short outage."""

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from pgexp.execution import training
from pgexp.execution.training import StoreWatch
from pgexp.tracking.exporter import ExporterState

AWAY = ExporterState("recording", message="ConnectionRefusedError: refused [/at] once")
REACHED = ExporterState("recording")


class Watch:
    """A watch that checks an exporter once per second, and its output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self._out = StringIO()
        self._state = REACHED
        monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        self._watch = StoreWatch(SimpleNamespace(state=lambda: self._state), Console(file=self._out, width=40))

    def printed(self, state: ExporterState, seconds: int) -> list[str]:
        """Return the lines that are printed within a number of seconds in a state."""
        self._state, begun = state, self._out.tell()
        for _ in range(seconds):
            self.seconds += 1
            self._watch.check()
        self._out.seek(begun)
        return self._out.read().splitlines()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_an_unreachable_store_is_reported_once_in_a_line(watch: Watch) -> None:
    assert watch.printed(REACHED, 60) == []
    (line,) = watch.printed(AWAY, 600)
    assert "MLflow" in line
    assert "ConnectionRefusedError: refused [/at] once" in line
    assert watch.printed(REACHED, 60) == []
    assert watch.printed(AWAY, 600) == []


def test_it_is_reported_after_three_seconds(watch: Watch) -> None:
    assert watch.printed(AWAY, 3) == []
    assert len(watch.printed(AWAY, 1)) == 1


def test_a_short_outage_is_not_reported(watch: Watch) -> None:
    for _ in range(9):
        assert watch.printed(AWAY, 2) == watch.printed(REACHED, 1) == []
