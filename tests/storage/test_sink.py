import os
import select
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from pgexp.storage import sink
from pgexp.storage.mlflow_client import MlflowException, connect
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record
from pgexp.storage.sink import SinkProcess, SinkState
from pgexp.storage.spool import Row, SpoolWriter
from pgexp.storage.tables import read_metrics

MakeRecord = Callable[..., Record]
LONG = 120.0  # seconds after which a sink that hangs fails its test


def statuses(record: Record) -> dict[str, str]:
    client = connect(record.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run.info.status for run in client.search_runs(experiments)}


def spool(record: Record) -> SpoolWriter:
    return SpoolWriter(record.folder_of(record.runs[0]) / "rows.jsonl")


def test_a_sink_on_a_fresh_store_follows_its_runs_to_the_end(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(f"sqlite:///{tmp_path}/new folder/mlflow.db", names="a", seeds=[0])
    process = SinkProcess.start(record.folder)
    assert process.state().state == "opening"
    writer = spool(record)
    writer.append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    writer.end("FINISHED")
    assert process.wait(LONG) == SinkState("done", ended=1, runs=1, rows=1)
    assert process.state() == SinkState("done", ended=1, runs=1, rows=1)
    assert statuses(record) == {"a and b": "FINISHED", "lr=a": "FINISHED", "lr=a seed=0": "FINISHED"}
    assert (record.folder / "sink.log").read_text() == ""


def test_a_run_whose_parent_dies_is_marked_as_killed(single: Record) -> None:
    spool(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    process = SinkProcess.start(single.folder)
    process.close()
    assert process.wait(LONG) == SinkState("done", ended=1, runs=1, rows=1)
    assert statuses(single) == {"lr=a seed=7": "KILLED"}
    assert read_metrics(single.folder / "metrics.parquet").to_pydict() == {
        "steps": [10],
        "loss/policy": [1.0],
    }


def test_a_sink_has_a_session_of_its_own_and_its_death_is_told(single: Record) -> None:
    process = SinkProcess.start(single.folder)
    pid = process._process.pid
    assert os.getsid(pid) == pid
    process._process.kill()
    state = process.wait(LONG)
    assert state.state == "failed"
    assert state.message == f"the sink ended with code -9; see {single.folder / 'sink.log'}"


def test_what_a_sink_fails_of_is_told_and_logged(tmp_path: Path) -> None:
    process = SinkProcess.start(tmp_path)
    state = process.wait(LONG)
    assert state.state == "failed"
    assert "record.json: No such file" in state.message
    assert "Traceback" in (tmp_path / "sink.log").read_text()


def test_a_store_that_fails_for_a_while_is_waited_for(single: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    drain = MlflowSink.drain
    outcomes = iter([MlflowException("away"), None])

    def fails_once(self: MlflowSink) -> bool:
        if (outcome := next(outcomes)) is not None:
            raise outcome
        return drain(self)

    monkeypatch.setattr(MlflowSink, "drain", fails_once)
    monkeypatch.setattr(sink, "_lets_go", lambda _parent: False)
    spool(single).end("FINISHED")
    assert list(sink._record(single.folder, parent=1)) == [
        SinkState("opening", runs=1),
        SinkState("recording", runs=1, message="MlflowException: away"),
        SinkState("done", ended=1, runs=1),
    ]


def test_a_store_that_fails_is_not_waited_for_without_a_parent(single: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_sink: MlflowSink) -> None:
        raise MlflowException("away")

    monkeypatch.setattr(MlflowSink, "close_killed", fails)
    monkeypatch.setattr(sink, "_lets_go", lambda _parent: True)
    with pytest.raises(MlflowException, match="away"):
        list(islice(sink._record(single.folder, parent=1), 5))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_parent_lets_go_by_closing_the_pipe_or_dying(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(sink, "_STDIN", reader)
    monkeypatch.setattr(sink, "_PERIOD", 0.0)
    parent = os.getppid()
    assert not sink._lets_go(parent)
    assert sink._lets_go(parent + 1)
    with Path(os.devnull).open() as closed:
        os.dup2(closed.fileno(), writer)
    assert sink._lets_go(parent)


def test_a_parent_that_does_not_listen_holds_up_no_sink(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(sink, "_STDOUT", writer)
    state = SinkState("recording", message="é" * 400)
    for _ in range(1_000):
        sink._say(state)
    assert not select.select([], [writer], [], 0)[1]
    lines = os.read(reader, 1 << 20).splitlines(keepends=True)
    assert set(lines) == {lines[0]}
    assert len(lines[0]) <= 4_096
