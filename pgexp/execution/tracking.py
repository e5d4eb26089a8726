"""How a command and its sink go together: training never waits for the store; at its end the command does."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console

from pgexp.execution.progress import ProgressDisplay
from pgexp.storage.sink import SinkProcess, SinkState

_PATIENCE = 45.0  # seconds that a command waits, at its end, for a store that says nothing and does not get on
_AWAY = 3.0  # seconds that it waits for one that is known to be away; training waits as long before it says so

Show = Callable[[float, float, Sequence[float]], None]


class StoreWatch:
    """Says in one line, once, if the store is away for a while."""

    def __init__(self, sink: SinkProcess, console: Console) -> None:
        self._sink = sink
        self._console = console
        self._since: float | None = None
        self._told = False

    def look(self) -> None:
        """Look at how the sink stands, now and then while runs train; it takes no time."""
        message, now = self._sink.state().message, time.monotonic()
        self._since = None if not message else now if self._since is None else self._since
        if self._since is not None and now - self._since >= _AWAY and not self._told:
            self._told = True
            text = f"MLflow is away, which holds up nothing; it gets everything when it is back. {message}"
            self._console.print(text, markup=False, soft_wrap=True)


def watched(show: Show, sink: SinkProcess, console: Console) -> Show:
    """Return what shows the training as `show` does, and says in one line if the store is away for a while."""
    watch = StoreWatch(sink, console)

    def showing(share: float, steps_per_second: float, returns: Sequence[float]) -> None:
        watch.look()
        show(share, steps_per_second, returns)

    return showing


def finish(sink: SinkProcess, display: ProgressDisplay) -> SinkState:
    """Wait until MLflow has everything; give up on a store that has not got on for a while."""
    _await(sink, display)
    sink.close()  # where something is left, it tries a last time
    state = _await(sink, display)
    return sink.wait(_AWAY) if state.final else state  # its process ends within a moment


def _await(sink: SinkProcess, display: ProgressDisplay) -> SinkState:
    """Wait for as long as the sink gets on, and return how it stands."""
    state, since = sink.wait(0), time.monotonic()
    while not state.final and time.monotonic() - since < (_AWAY if state.message else _PATIENCE):
        seen, state = state, sink.wait(0.2)
        if replace(state, message="") != replace(seen, message=""):
            since = time.monotonic()
        display.stage("recording in MLflow", state.ended / max(1, state.runs), f"{state.rows:,} rows")
    return state
