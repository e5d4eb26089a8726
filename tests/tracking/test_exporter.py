import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.runs.locking import lock
from pgexp.runs.manifest import SweepManifest
from pgexp.runs.metric_tables import read_metrics
from pgexp.runs.run_log import Row, RunLogWriter, RunState
from pgexp.tracking.client import connect
from pgexp.tracking.exporter import EXPORTER_LOCK, Exporter, ExporterState

MakeSweep = Callable[..., SweepManifest]
LONG = 120.0  # seconds until a test fails


def statuses(manifest: SweepManifest) -> dict[str, str]:
    client = connect(manifest.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run.info.status for run in client.search_runs(experiments)}


def log_writer(manifest: SweepManifest) -> RunLogWriter:
    return RunLogWriter(manifest.folder_of(manifest.runs[0]) / "rows.jsonl")


@pytest.mark.slow
def test_exporter_creates_a_store_and_follows_its_runs(make_sweep: MakeSweep, tmp_path: Path) -> None:
    manifest = make_sweep(f"sqlite:///{tmp_path}/new folder/mlflow.db", names="a", seeds=[0])
    process = Exporter.start(manifest.folder)
    assert process.state().state == "opening"
    writer = log_writer(manifest)
    writer.append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    writer.end(RunState.FINISHED)
    assert process.wait(LONG) == ExporterState("done", ended=1, runs=1, rows=1)
    assert process.state() == ExporterState("done", ended=1, runs=1, rows=1)
    assert statuses(manifest) == {"a and b": "FINISHED", "lr=a": "FINISHED", "lr=a seed=0": "FINISHED"}
    assert (manifest.folder / "exporter.log").read_text() == ""


@pytest.mark.slow
def test_run_without_an_end_is_killed_after_close(single: SweepManifest) -> None:
    log_writer(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    process = Exporter.start(single.folder)
    process.close()
    assert process.wait(LONG) == ExporterState("done", ended=1, runs=1, rows=1)
    assert statuses(single) == {"lr=a seed=7": "KILLED"}
    assert read_metrics(single.folder / "metrics.parquet").to_pydict() == {
        "steps": [10],
        "loss/policy": [1.0],
    }


@pytest.mark.slow
def test_exporter_has_its_own_session(single: SweepManifest) -> None:
    process = Exporter.start(single.folder)
    pid = process._process.pid
    assert os.getsid(pid) == pid
    process.close()
    process.wait(LONG)


def test_killed_exporter_is_restarted(single: SweepManifest) -> None:
    log_writer(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    process = Exporter.start(single.folder)
    first = process._process
    while process.wait(0.1).rows < 1:
        assert not process.state().final, process.state().message
    first.kill()
    first.wait()
    log_writer(single).append(Row(60, 0.6, 2_000, {"loss/policy": 2.0}))
    log_writer(single).end(RunState.FINISHED)
    assert process.wait(LONG) == ExporterState("done", ended=1, runs=1, rows=2)
    assert statuses(single) == {"lr=a seed=7": "FINISHED"}


def test_restarts_are_limited(single: SweepManifest) -> None:
    process = Exporter.start(single.folder)
    killed = set()
    while not process.state().final:
        killed.add(process._process.pid)
        process._process.kill()
        process._process.wait()
    assert len(killed) == 4
    assert process.state().message == f"the exporter ended with code -9; see {single.folder / 'exporter.log'}"


def test_exporter_is_not_restarted_after_close(single: SweepManifest) -> None:
    process = Exporter.start(single.folder)
    process.close()
    process._process.kill()
    assert process.wait(LONG).state == "failed"


def test_failure_is_reported_and_logged(tmp_path: Path) -> None:
    process = Exporter.start(tmp_path)
    state = process.wait(LONG)
    assert state.state == "failed"
    assert "manifest.json: No such file" in state.message
    assert "Traceback" in (tmp_path / "exporter.log").read_text()


@pytest.mark.slow
def test_exporter_waits_for_an_earlier_one(single: SweepManifest) -> None:
    log_writer(single).end(RunState.FINISHED)
    with lock(single.folder / EXPORTER_LOCK):
        process = Exporter.start(single.folder)
        assert process.wait(0.5).state == "opening"
    assert process.wait(LONG).state == "done"
