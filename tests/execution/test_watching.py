"""What a user sees of a store that is away while training goes on: one line, once, and not for a hiccup."""

from collections.abc import Sequence
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from pgexp.execution import tracking
from pgexp.execution.tracking import StoreWatch, watched
from pgexp.storage.sink import SinkState

AWAY = SinkState("recording", message="ConnectionRefusedError: refused [/at] once")
THERE = SinkState("recording")


class Watch:
    """A training of which something is shown each second, beside a sink in some states."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.shown: list[tuple[float, float, Sequence[float]]] = []
        self._out = StringIO()
        self._state = THERE
        monkeypatch.setattr(tracking, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        console = Console(file=self._out, width=40)
        self._show = watched(self._take, SimpleNamespace(state=lambda: self._state), console)

    def _take(self, share: float, rate: float, returns: Sequence[float]) -> None:
        self.shown.append((share, rate, returns))

    def told(self, state: SinkState, seconds: int) -> list[str]:
        """Return what is told within so many seconds in a state."""
        self._state, begun = state, self._out.tell()
        for _ in range(seconds):
            self.seconds += 1
            self._show(0.5, 7.0, [1.0])
        self._out.seek(begun)
        return self._out.read().splitlines()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_a_store_that_is_away_is_told_once_in_a_line(watch: Watch) -> None:
    assert watch.told(THERE, 60) == []
    assert watch.told(AWAY, 600) == [
        "MLflow is away, which holds up nothing; it gets everything when it is back. "
        "ConnectionRefusedError: refused [/at] once"
    ]
    assert watch.told(THERE, 60) == []
    assert watch.told(AWAY, 600) == []


def test_a_hiccup_is_not_told(watch: Watch) -> None:
    for _ in range(9):
        assert watch.told(AWAY, 2) == watch.told(THERE, 1) == []


def test_training_is_shown_as_ever(watch: Watch) -> None:
    watch.told(AWAY, 3)
    assert watch.shown == [(0.5, 7.0, [1.0])] * 3


def test_whoever_shows_nothing_by_itself_can_look(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, out = iter(range(100)), StringIO()
    monkeypatch.setattr(tracking, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    watch = StoreWatch(SimpleNamespace(state=lambda: AWAY), Console(file=out, width=40))
    told = []
    for _ in range(6):
        watch.look()
        told.append(out.getvalue().count("MLflow is away"))
    assert told == [0, 0, 0, 1, 1, 1]  # after three seconds, once
