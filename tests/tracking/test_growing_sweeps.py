"""Sweeps to which runs are added: the export adds them below the same parents."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from pgexp.runs.manifest import SweepManifest, save_manifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking.client import MlflowClient, MlflowException, Run
from pgexp.tracking.export import SweepExport
from pgexp.tracking.exporter import Exporter, ExporterState
from pgexp.tracking.sync import sync

MakeSweep = Callable[..., SweepManifest]


def export_all(manifest: SweepManifest) -> SweepExport:
    export = SweepExport(manifest)
    export.open()
    for _ in export.export_rows():
        pass
    return export


def end(manifest: SweepManifest, *names: str) -> None:
    for run in manifest.runs:
        if run.name in names:
            log_writer = RunLogWriter(manifest.folder_of(run) / "rows.jsonl")
            log_writer.append(Row(100, 1.0, 1_000, {"final/return_mean": 1.0}, Phase.FINAL))
            log_writer.end(RunState.FINISHED, complete=True)


def stored(manifest: SweepManifest) -> dict[str, Run]:
    client = MlflowClient(manifest.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def test_second_export_adds_new_runs(uri: str, make_sweep: MakeSweep) -> None:
    grown = make_sweep(uri)
    first = replace(grown, runs=(grown.runs[0],), name="one run")
    save_manifest(first)
    end(first, "lr=a seed=0")
    assert export_all(first).is_over
    before = stored(first)
    assert {run.info.status for run in before.values()} == {"FINISHED"}

    save_manifest(grown)
    end(grown, "lr=b seed=0", "lr=b seed=1")
    assert not export_all(grown).is_over
    after = stored(grown)
    kept = {"lr=a": "lr=a", "lr=a seed=0": "lr=a seed=0", "one run": "a and b"}
    assert {new: after[new].info.run_id for new in kept.values()} == {
        new: before[old].info.run_id for old, new in kept.items()
    }
    assert after.keys() == {*kept.values(), "lr=a seed=1", "lr=b", "lr=b seed=0", "lr=b seed=1"}
    statuses = {name: run.info.status for name, run in after.items()}
    running = {"a and b", "lr=a", "lr=a seed=1"}
    assert statuses == {name: "RUNNING" if name in running else "FINISHED" for name in after}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in after.items()}
    assert parents["lr=a seed=1"] == after["lr=a"].info.run_id
    assert parents["lr=b"] == after["a and b"].info.run_id
    assert after["lr=a"].data.params == {"lr": "a", "gamma": "0.5", "baseline.own": "True"}

    end(grown, "lr=a seed=1")
    assert export_all(grown).is_over
    assert {run.info.status for run in stored(grown).values()} == {"FINISHED"}


def test_name_set_by_a_user_is_kept(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    export_all(manifest)
    MlflowClient(uri).update_run(stored(manifest)["a and b"].info.run_id, name="mine")
    export_all(manifest)
    assert "mine" in stored(manifest)


def test_sync_ends_runs_that_were_never_exported(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    sync(manifest)
    found = stored(manifest)
    assert {name: run.info.status for name, run in found.items()} == dict.fromkeys(
        ("a and b", "lr=a", "lr=a seed=0", "lr=a seed=1"), "KILLED"
    )


def test_sync_ends_runs_that_were_never_trained(uri: str, make_sweep: MakeSweep) -> None:
    grown = make_sweep(uri, names="a")
    first = replace(grown, runs=(grown.runs[0],))
    save_manifest(first)
    end(first, "lr=a seed=0")
    export_all(first)
    save_manifest(grown)
    sync(grown)
    statuses = {name: run.info.status for name, run in stored(grown).items()}
    assert statuses == {"a and b": "KILLED", "lr=a": "KILLED", "lr=a seed=0": "FINISHED", "lr=a seed=1": "KILLED"}


def export_new(export: SweepExport, kill: bool = False) -> bool:
    for _ in export.export_rows(kill):
        pass
    return export.is_over


def test_runs_are_added_during_an_export(uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = make_sweep(uri)
    records = [replace(grown, runs=grown.runs[:count], name=f"{count} runs") for count in (1, 2, 4)]
    save_manifest(records[0])
    export = SweepExport(records[0], growing=True)
    export.open()
    end(records[0], "lr=a seed=0")
    assert not export_new(export), "a growing sweep is over"
    assert stored(grown)["1 runs"].info.status == "RUNNING"
    assert stored(grown)["lr=a"].info.status == "FINISHED"
    for manifest in records[1:]:
        save_manifest(manifest)
        export.extend(manifest)
        assert not export_new(export)
        assert stored(grown).keys() >= {manifest.name, *(run.name for run in manifest.runs)}
    assert stored(grown)["lr=a"].info.status == "RUNNING"
    end(grown, "lr=a seed=1", "lr=b seed=0")
    assert not export_new(export)
    assert export_new(export, kill=True)
    found = stored(grown)
    assert {name: run.info.status for name, run in found.items()} == {
        "4 runs": "KILLED",
        "lr=a": "FINISHED",
        "lr=b": "KILLED",
        "lr=a seed=0": "FINISHED",
        "lr=a seed=1": "FINISHED",
        "lr=b seed=0": "FINISHED",
        "lr=b seed=1": "KILLED",
    }
    assert found["lr=a"].data.metrics["over_seeds/seeds"] == 2
    assert found["lr=b seed=1"].data.tags["mlflow.parentRunId"] == found["lr=b"].info.run_id


@pytest.mark.parametrize("calls", range(3))
def test_lost_answers_while_runs_are_added(
    uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    grown = make_sweep(uri)
    first = replace(grown, runs=grown.runs[:2])
    export = SweepExport(first, growing=True)
    export.open()
    create, left = MlflowClient.create_run, iter(range(calls))

    def lost(client: MlflowClient, *arguments: object, **options: object) -> Run:
        run = create(client, *arguments, **options)
        if next(left, None) is None:
            raise MlflowException("the answer is lost")
        return run

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", lost)
        with pytest.raises(MlflowException, match="lost"):
            export.extend(grown)
    assert not export.is_open
    export.open()
    end(grown, *(run.name for run in grown.runs))
    assert export_new(export, kill=True)
    assert {run.info.status for run in stored(grown).values()} == {"FINISHED"}
    assert len(stored(grown)) == 7


def test_exporter_process_follows_a_growing_manifest(uri: str, make_sweep: MakeSweep) -> None:
    grown = make_sweep(uri)
    first = replace(grown, runs=grown.runs[:1])
    save_manifest(first)
    end(first, "lr=a seed=0")
    process = Exporter.start(grown.folder, growing=True)
    _wait_for(process, ExporterState("recording", ended=1, runs=1, rows=1))
    save_manifest(grown)
    end(grown, "lr=b seed=0", "lr=b seed=1")
    _wait_for(process, ExporterState("recording", ended=3, runs=4, rows=3))
    process._process.kill()  # the next process also follows a growing manifest
    end(grown, "lr=a seed=1")
    _wait_for(process, ExporterState("recording", ended=4, runs=4, rows=4))
    process.close()
    assert process.wait(120) == ExporterState("done", ended=4, runs=4, rows=4)
    assert {run.info.status for run in stored(grown).values()} == {"FINISHED"}


def _wait_for(process: Exporter, state: ExporterState) -> None:
    deadline = time.monotonic() + 120
    while process.wait(0.05) != state:
        assert time.monotonic() < deadline, process.state()
        assert not process.state().final, process.state()
