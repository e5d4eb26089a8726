"""The sink's process, ``python -m pgexp.storage.draining FOLDER``: it brings a record's runs to MLflow as they grow.

It reads the spools every half second. Its standard input is a pipe that its parent holds and never writes to. When
that closes, the parent has let go or is dead, and what has not ended then was killed. On standard output the sink says
how it stands, a JSON object a line. Whatever else it says goes to standard error, for which the parent opens a log.

A store that fails is tried again, ever more seldom, for as long as the parent holds the pipe; then once more.
"""

import contextlib
import gc
import json
import logging
import os
import select
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from pgexp.schema.errors import ConfigError
from pgexp.storage.locking import held
from pgexp.storage.record import Record, read
from pgexp.storage.secrets import mask_uri
from pgexp.storage.sink import SinkState

SINK_LOCK: Final = ".sink.lock"  # of a record's folder: held by the one process that drains it
_PERIOD = 0.5  # seconds between two looks at the spools
_LONGEST = 15.0  # seconds between two tries of a store that fails
_FEW = 50  # runs that are made without a word about it
_STDIN, _STDOUT = 0, 1
_MESSAGE_LENGTH = 400  # with it a line fits the 4,096 bytes that a pipe takes whole or not at all


def main() -> int:
    """Run the sink's process, and return its exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    set_up_mlflow()
    said = SinkState("opening")
    try:
        for state in _record(Path(sys.argv[1]), os.getppid()):
            if state != said:
                _say(state)
            if state.message and state.message != said.message:
                logging.warning("%s", state.message)
            said = state
    except Exception as error:
        logging.error("The sink failed. %s", mask_uri(traceback.format_exc()))
        _say(replace(said, state="failed", message=in_short(error)))
        return 1
    return 0


def set_up_mlflow() -> None:
    """Set how MLflow's client, which is not loaded yet, deals with a store that fails."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # what failed is tried again here
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_LOGGING_LEVEL"] = "CRITICAL"  # it logs tracebacks of errors that are told here in a sentence
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # of a server that takes a call and never answers


def in_short(error: Exception) -> str:
    """Return what an error came of, in one line without passwords."""
    while type(error).__module__ != "builtins" and isinstance(cause := error.__cause__ or error.__context__, Exception):
        error = cause
    text = str(error) if isinstance(error, ConfigError | ValueError) else f"{type(error).__name__}: {error}"
    return " ".join(mask_uri(text).split())[:_MESSAGE_LENGTH]


def _record(folder: Path, parent: int) -> Iterator[SinkState]:
    """Bring a folder's runs over until all have ended or the parent lets go; yield how it stands."""
    record = read(folder)
    yield SinkState("opening", runs=len(record.runs))
    with held(folder / SINK_LOCK, wait=True):  # an earlier sink may have a last call to finish
        yield from _follow(record, parent)


def _follow(record: Record, parent: int) -> Iterator[SinkState]:
    from pgexp.storage.mlflow_sink import STORE_ERRORS, MlflowSink  # takes seconds, and no parent wants it

    gc.freeze()  # a million objects of modules, which each collection would go through: a fifth of the sink's time
    sink = MlflowSink(record)
    pause, let_go = _PERIOD, False
    state = SinkState("opening", runs=len(record.runs))
    while not state.final:
        try:
            for stand in () if sink.is_open else sink.opening():
                if stand >= state.opened + _FEW:
                    yield (state := replace(state, opened=stand))
            for _ in sink.drain(kill=let_go):
                yield (state := SinkState("recording", sink.ended, state.runs, sink.rows))
            state = SinkState("done" if let_go or sink.over else "recording", sink.ended, state.runs, sink.rows)
            pause = _PERIOD
        except STORE_ERRORS as error:
            state = replace(state, state="failed" if let_go else state.state, message=in_short(error))
            pause = min(2 * pause, _LONGEST)
        yield state
        let_go = not state.final and _lets_go(parent, pause)


def _lets_go(parent: int, pause: float) -> bool:
    """Wait for the next look, or until standard input ends; return whether the parent has let go.

    The parent's id is a second sign of its death: a worker that it forked may hold the pipe open.
    """
    return bool(select.select([_STDIN], [], [], pause)[0]) or os.getppid() != parent


def _say(state: SinkState) -> None:
    """Write a state; while the pipe is full, its reader misses all but the last, and holds up nobody."""
    if state.final or select.select([], [_STDOUT], [], 0)[1]:
        with contextlib.suppress(BrokenPipeError):  # the parent is dead
            os.write(_STDOUT, json.dumps(asdict(state)).encode() + b"\n")


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # a library's prints are no states
        sys.exit(main())
