"""The inside of a sink's process: how it waits for its store, for its parent and for an earlier sink."""

import os
import select
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage import draining
from pgexp.storage.draining import in_short
from pgexp.storage.mlflow_client import MlflowException
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record
from pgexp.storage.sink import SinkState
from pgexp.storage.spool import Row, SpoolWriter


def spool(record: Record) -> SpoolWriter:
    return SpoolWriter(record.folder_of(record.runs[0]) / "rows.jsonl")


def interrupted(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Let a method of the sink fail so many times before it works."""
    method, left = getattr(MlflowSink, name), iter(range(times))

    def fails(self: MlflowSink, *given: object, **named: object) -> object:
        if next(left, None) is not None:
            raise MlflowException("away")
        return method(self, *given, **named)

    monkeypatch.setattr(MlflowSink, name, fails)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a sink paused, in order, before each of its looks; its parent holds on."""
    paused: list[float] = []
    monkeypatch.setattr(draining, "_lets_go", lambda _parent, pause: bool(paused.append(pause)))
    return paused


@pytest.mark.parametrize("method", ["opening", "drain"])
def test_a_store_that_fails_for_a_while_is_waited_for_ever_more_seldom(
    single: Record, monkeypatch: pytest.MonkeyPatch, pauses: list[float], method: str
) -> None:
    interrupted(monkeypatch, method, times=7)
    spool(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    spool(single).end("FINISHED")
    *states, last = draining._record(single.folder, parent=1)
    assert {state.message for state in states} >= {"MlflowException: away"}
    assert last == SinkState("done", ended=1, runs=1, rows=1)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_a_store_that_is_back_is_looked_at_as_often_as_before(
    single: Record, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    interrupted(monkeypatch, "drain", times=3)
    states = draining._record(single.folder, parent=1)
    while len(pauses) < 5:
        next(states)
    assert pauses == [1.0, 2.0, 4.0, 0.5, 0.5]


@pytest.mark.parametrize("method", ["opening", "drain"])
def test_a_store_that_fails_is_not_waited_for_without_a_parent(
    single: Record, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    interrupted(monkeypatch, method, times=100)
    monkeypatch.setattr(draining, "_lets_go", lambda _parent, _pause: True)
    *_, last = islice(draining._record(single.folder, parent=1), 9)
    assert (last.state, last.message) == ("failed", "MlflowException: away")


def test_what_is_brought_over_is_told_seed_by_seed(single: Record, pauses: list[float]) -> None:
    """A parent gives up on a sink that does not get on; a long backlog must not look like that."""
    spool(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    states = draining._record(single.folder, parent=1)
    assert next(states) == SinkState("opening", runs=1)
    assert next(states) == SinkState("recording", runs=1, rows=1)
    assert pauses == []


def test_how_many_runs_stand_is_told_while_a_large_sweep_is_opened(
    uri: str, make_record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """It takes minutes, while its parent may have ended its training and wait."""
    monkeypatch.setattr(draining, "_FEW", 3)
    states = draining._record(make_record(uri).folder, parent=1)
    assert [next(states) for _ in range(4)] == [
        SinkState("opening", runs=4),
        SinkState("opening", runs=4, opened=3),  # a configuration and its two seeds
        SinkState("opening", runs=4, opened=6),
        SinkState("recording", runs=4),
    ]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_parent_lets_go_by_closing_the_pipe_or_dying(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(draining, "_STDIN", reader)
    parent = os.getppid()
    assert not draining._lets_go(parent, 0.0)
    assert draining._lets_go(parent + 1, 0.0)
    with Path(os.devnull).open() as closed:
        os.dup2(closed.fileno(), writer)
    assert draining._lets_go(parent, 1_000.0), "it is told at once, however long the pause"


def test_a_parent_that_does_not_listen_holds_up_no_sink(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(draining, "_STDOUT", writer)
    state = SinkState("recording", message="é" * 400)
    for _ in range(1_000):
        draining._say(state)
    assert not select.select([], [writer], [], 0)[1]
    lines = os.read(reader, 1 << 20).splitlines(keepends=True)
    assert set(lines) == {lines[0]}
    assert len(lines[0]) <= 4_096


def test_an_error_is_told_by_what_it_came_of() -> None:
    with pytest.raises(MlflowException) as caught:
        _failing()
    assert in_short(caught.value) == "ConnectionRefusedError: [Errno 111] refused"


def _failing() -> None:
    try:
        raise ConnectionRefusedError(111, "refused")
    except OSError as error:
        raise MlflowException(f"API request failed with {error}, at great length") from error


def test_an_error_is_told_without_passwords_and_not_cut_within_one() -> None:
    told = in_short(MlflowException(f"{'x' * 360} http://me:{'s3cret' * 20}@host:1/api failed\nat once"))
    assert "s3" not in told
    assert told.endswith("http://me:***@host:1/a")


def test_a_mistake_is_told_as_it_is() -> None:
    assert in_short(ConfigError([Problem("tracking.uri", "is wrong")])) == "tracking.uri: is wrong"
