"""How a command and its sink go together: training never waits for the store; at its end the command does."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from pgexp.execution.progress import ProgressDisplay
from pgexp.storage.sink import SinkProcess, SinkState

_PATIENCE = 45.0  # seconds that a command waits, at its end, for a store that says nothing and does not get on
_AWAY = 3.0  # seconds that it waits for one that is known to be away; training waits as long before it says so

Show = Callable[[float, float, Sequence[float]], None]


def watched(show: Show, sink: SinkProcess, console: Console) -> Show:
    """Return what shows the training as `show` does, and says in one line if the store is away for a while."""
    since: float | None = None
    told = False

    def showing(share: float, steps_per_second: float, returns: Sequence[float]) -> None:
        nonlocal since, told
        message = sink.state().message
        now = time.monotonic()
        since = None if not message else now if since is None else since
        if since is not None and now - since >= _AWAY and not told:
            told = True
            text = f"MLflow is away, which holds up nothing; it gets everything when it is back. {message}"
            console.print(text, markup=False, soft_wrap=True)
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
        if (state.state, state.ended, state.rows) != (seen.state, seen.ended, seen.rows):
            since = time.monotonic()
        display.stage("recording in MLflow", state.ended / max(1, state.runs), f"{state.rows:,} rows")
    return state
