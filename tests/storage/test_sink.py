import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.storage.draining import SINK_LOCK
from pgexp.storage.locking import held
from pgexp.storage.mlflow_client import connect
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_sink_has_a_session_of_its_own(single: Record) -> None:
    process = SinkProcess.start(single.folder)
    pid = process._process.pid
    assert os.getsid(pid) == pid
    process.close()
    process.wait(LONG)


def test_a_sink_that_is_killed_is_started_again_and_goes_on(single: Record) -> None:
    spool(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    process = SinkProcess.start(single.folder)
    first = process._process
    while process.wait(0.1).rows < 1:
        assert not process.state().final, process.state().message
    first.kill()
    first.wait()
    spool(single).append(Row(60, 0.6, 2_000, {"loss/policy": 2.0}))
    spool(single).end("FINISHED")
    assert process.wait(LONG) == SinkState("done", ended=1, runs=1, rows=2)
    assert statuses(single) == {"lr=a seed=7": "FINISHED"}


def test_a_sink_that_is_killed_again_and_again_is_given_up_and_told(single: Record) -> None:
    process = SinkProcess.start(single.folder)
    killed = set()
    while not process.state().final:
        killed.add(process._process.pid)
        process._process.kill()
        process._process.wait()
    assert len(killed) == 4
    assert process.state().message == f"the sink ended with code -9; see {single.folder / 'sink.log'}"


def test_a_sink_that_is_killed_when_it_was_let_go_is_not_started_again(single: Record) -> None:
    process = SinkProcess.start(single.folder)
    process.close()
    process._process.kill()
    assert process.wait(LONG).state == "failed"


def test_what_a_sink_fails_of_is_told_and_logged(tmp_path: Path) -> None:
    process = SinkProcess.start(tmp_path)
    state = process.wait(LONG)
    assert state.state == "failed"
    assert "record.json: No such file" in state.message
    assert "Traceback" in (tmp_path / "sink.log").read_text()


@pytest.mark.slow
def test_a_sink_waits_for_the_one_before_it(single: Record) -> None:
    spool(single).end("FINISHED")
    with held(single.folder / SINK_LOCK):
        process = SinkProcess.start(single.folder)
        assert process.wait(0.5).state == "opening"
    assert process.wait(LONG).state == "done"
