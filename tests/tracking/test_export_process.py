"""Functions of the exporter's process: pauses, reports, and the end of its parent."""

import os
import select
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_log import Row, RunLogWriter, RunState
from pgexp.schema.errors import UserError
from pgexp.tracking import export_process
from pgexp.tracking.client import MlflowException
from pgexp.tracking.export import SweepExport
from pgexp.tracking.exporter import ExporterState
from pgexp.tracking.store import short_error


def log_writer(manifest: SweepManifest) -> RunLogWriter:
    return RunLogWriter(manifest.folder_of(manifest.runs[0]) / "rows.jsonl")


def interrupted(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Make a method of the export fail a number of times."""
    method, left = getattr(SweepExport, name), iter(range(times))

    def fails(self: SweepExport, *arguments: object, **options: object) -> object:
        if next(left, None) is not None:
            raise MlflowException("away")
        return method(self, *arguments, **options)

    monkeypatch.setattr(SweepExport, name, fails)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of pauses between two reads; the parent stays alive."""
    paused: list[float] = []
    monkeypatch.setattr(export_process, "_is_closed", lambda _parent, pause: bool(paused.append(pause)))
    return paused


@pytest.mark.parametrize("method", ["opening", "export_rows"])
def test_pauses_grow_while_the_store_fails(
    single: SweepManifest, monkeypatch: pytest.MonkeyPatch, pauses: list[float], method: str
) -> None:
    interrupted(monkeypatch, method, times=7)
    log_writer(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    log_writer(single).end(RunState.FINISHED)
    *states, last = export_process._export(single.folder, parent=1)
    assert {state.message for state in states} >= {"MlflowException: away"}
    assert last == ExporterState("done", ended=1, runs=1, rows=1)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_pauses_are_reset_after_a_success(
    single: SweepManifest, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    interrupted(monkeypatch, "export_rows", times=3)
    states = export_process._export(single.folder, parent=1)
    while len(pauses) < 5:
        next(states)
    assert pauses == [1.0, 2.0, 4.0, 0.5, 0.5]


@pytest.mark.parametrize("method", ["opening", "export_rows"])
def test_failing_store_without_a_parent(single: SweepManifest, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    interrupted(monkeypatch, method, times=100)
    monkeypatch.setattr(export_process, "_is_closed", lambda _parent, _pause: True)
    *_, last = islice(export_process._export(single.folder, parent=1), 9)
    assert (last.state, last.message) == ("failed", "MlflowException: away")


def test_progress_is_reported_per_seed(single: SweepManifest, pauses: list[float]) -> None:
    """A parent does not wait for an exporter without progress; a long backlog has progress."""
    log_writer(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    states = export_process._export(single.folder, parent=1)
    assert next(states) == ExporterState("opening", runs=1)
    assert next(states) == ExporterState("recording", runs=1, rows=1)
    assert pauses == []


def test_progress_is_reported_while_opening(
    uri: str, make_sweep: Callable[..., SweepManifest], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """It takes minutes, while the parent may have ended its training and waits."""
    monkeypatch.setattr(export_process, "_OPENED_STEP", 3)
    states = export_process._export(make_sweep(uri).folder, parent=1)
    assert [next(states) for _ in range(4)] == [
        ExporterState("opening", runs=4),
        ExporterState("opening", runs=4, opened=3),  # a configuration and two seeds
        ExporterState("opening", runs=4, opened=6),
        ExporterState("recording", runs=4),
    ]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_closed_pipe_or_dead_parent_is_detected(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(export_process, "_STDIN", reader)
    parent = os.getppid()
    assert not export_process._is_closed(parent, 0.0)
    assert export_process._is_closed(parent + 1, 0.0)
    with Path(os.devnull).open() as closed:
        os.dup2(closed.fileno(), writer)
    assert export_process._is_closed(parent, 1_000.0), "the end of a pause is not awaited"


def test_full_pipe_does_not_block(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(export_process, "_STDOUT", writer)
    state = ExporterState("recording", message="é" * 400)
    for _ in range(1_000):
        export_process._report(state)
    assert not select.select([], [writer], [], 0)[1]
    lines = os.read(reader, 1 << 20).splitlines(keepends=True)
    assert set(lines) == {lines[0]}
    assert len(lines[0]) <= 4_096


def test_short_error_is_the_cause() -> None:
    with pytest.raises(MlflowException) as caught:
        _failing()
    assert short_error(caught.value) == "ConnectionRefusedError: [Errno 111] refused"


def _failing() -> None:
    try:
        raise ConnectionRefusedError(111, "refused")
    except OSError as error:
        raise MlflowException(f"API request failed with {error}, at great length") from error


def test_short_error_has_no_part_of_a_password() -> None:
    message = short_error(MlflowException(f"{'x' * 360} http://me:{'s3cret' * 20}@host:1/api failed\nat once"))
    assert "s3" not in message
    assert message.endswith("http://me:***@host:1/a")


def test_short_error_of_a_user_error() -> None:
    assert short_error(UserError.at("tracking.uri", "is wrong")) == "tracking.uri: is wrong"
