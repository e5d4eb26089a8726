"""Each run exists once in MLflow, after repeated calls and deletions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking import export as export_module
from pgexp.tracking.client import MlflowClient, MlflowException, Run, connect, open_experiment
from pgexp.tracking.export import SweepExport
from tests.tiers import tiered

MakeSweep = Callable[..., SweepManifest]
NAMES = {"a and b", "lr=a", "lr=b", "lr=a seed=0", "lr=a seed=1", "lr=b seed=0", "lr=b seed=1"}


def open_export(manifest: SweepManifest) -> SweepExport:
    export = SweepExport(manifest)
    export.open()
    return export


def export_all(manifest: SweepManifest) -> None:
    for _ in open_export(manifest).export_rows(kill=True):
        pass


def active(manifest: SweepManifest) -> dict[str, Run]:
    """Return the runs that are not deleted, by their names, which are unique."""
    client = MlflowClient(manifest.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def steps(manifest: SweepManifest, name: str) -> list[int]:
    client = MlflowClient(manifest.tracking.uri)
    return [point.step for point in client.get_metric_history(active(manifest)[name].info.run_id, "loss/policy")]


def log_writer(manifest: SweepManifest, run: int = 0) -> RunLogWriter:
    return RunLogWriter(manifest.folder_of(manifest.runs[run]) / "rows.jsonl")


def test_duplicates_of_a_server_are_deleted(uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """An HTTP client repeats a call whose answer is lost."""
    manifest = make_sweep(uri)
    create = MlflowClient.create_run

    def twice(client: MlflowClient, *arguments: object, **options: object) -> Run:
        create(client, *arguments, **options)
        return create(client, *arguments, **options)

    monkeypatch.setattr(export_module, "is_server", lambda _: True)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", twice)
        export_all(manifest)
    found = active(manifest)
    assert found.keys() == NAMES
    assert found["lr=a"].data.tags["mlflow.parentRunId"] == found["a and b"].info.run_id
    assert found["lr=b seed=1"].data.tags["mlflow.parentRunId"] == found["lr=b"].info.run_id


@pytest.mark.parametrize("calls", tiered(range(7), lambda calls: calls in (0, 3)))
def test_export_continues_after_a_kill_while_opening(
    uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    manifest = make_sweep(uri)
    create, left = MlflowClient.create_run, iter(range(calls))

    def killed(client: MlflowClient, *arguments: object, **options: object) -> Run:
        run = create(client, *arguments, **options)
        if next(left, None) is None:
            raise MlflowException("killed after the call")
        return run

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", killed)
        with pytest.raises(MlflowException, match="killed"):
            open_export(manifest)
    for _ in open_export(manifest).export_rows():
        pass
    assert active(manifest).keys() == NAMES
    assert active(manifest)["lr=b seed=1"].data.params == {
        "lr": "b",
        "seed": "1",
        "gamma": "0.5",
        "baseline.own": "True",
    }


def test_duplicate_with_most_rows_is_kept(single: SweepManifest) -> None:
    log_writer(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    export_all(single)
    (run,) = active(single).values()
    client = MlflowClient(single.tracking.uri)
    for _ in range(3):  # so many that one probably has a smaller id
        tags = {name: value for name, value in run.data.tags.items() if name != "pgexp.rows_synced"}
        client.create_run(run.info.experiment_id, tags=tags, run_name=run.info.run_name)
    export_all(single)
    assert active(single)["lr=a seed=7"].info.run_id == run.info.run_id
    assert steps(single, "lr=a seed=7") == [10]


def test_duplicate_with_children_is_kept(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    open_export(manifest)
    before = active(manifest)
    client = MlflowClient(uri)
    for name in ("a and b", "lr=a") * 3:
        client.create_run(before[name].info.experiment_id, tags=before[name].data.tags, run_name=name)
    open_export(manifest)
    assert {name: run.info.run_id for name, run in active(manifest).items()} == {
        name: run.info.run_id for name, run in before.items()
    }


def test_late_duplicate_is_deleted_at_the_end(single: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "is_server", lambda _: True)
    export = open_export(single)
    (run,) = active(single).values()
    late = MlflowClient(single.tracking.uri).create_run(run.info.experiment_id, tags=run.data.tags)
    log_writer(single).end(RunState.FINISHED, complete=True)
    for _ in export.export_rows():
        pass
    assert {run.info.run_id for run in active(single).values()} == {run.info.run_id}
    assert late.info.run_id != run.info.run_id


def test_deleted_run_is_restored(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    log_writer(manifest).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    export_all(manifest)
    before = active(manifest)
    for name in ("lr=a seed=0", "lr=a", "a and b"):
        MlflowClient(uri).delete_run(before[name].info.run_id)
    export_all(manifest)
    assert {run.info.run_id for run in active(manifest).values()} == {run.info.run_id for run in before.values()}
    assert steps(manifest, "lr=a seed=0") == [10]


def test_purged_run_is_created_again(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    log_writer(manifest).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    export_all(manifest)
    store = connect(uri)._tracking_client.store
    for name in ("lr=a seed=0", "lr=a"):
        run = active(manifest)[name].info.run_id
        store.delete_run(run)
        store._hard_delete_run(run)
    export_all(manifest)
    found = active(manifest)
    assert found.keys() == NAMES
    assert steps(manifest, "lr=a seed=0") == [10]
    assert found["lr=a"].info.status == "KILLED"
    for seed in ("lr=a seed=0", "lr=a seed=1"):
        assert found[seed].data.tags["mlflow.parentRunId"] == found["lr=a"].info.run_id


def test_deleted_experiment_is_reported_with_a_command(single: SweepManifest) -> None:
    client = MlflowClient(single.tracking.uri)
    experiment = client.create_experiment("corridor")
    client.delete_experiment(experiment)
    with pytest.raises(
        ValueError, match=f"corridor is deleted.*mlflow experiments restore --experiment-id {experiment}"
    ):
        open_export(single)


def test_concurrently_created_experiment_is_used(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, find = MlflowClient(uri), MlflowClient.get_experiment_by_name
    created = client.create_experiment("corridor")
    finds = iter([lambda *_: None])  # the first lookup finds nothing
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", lambda *arguments: next(finds, find)(*arguments))
    assert open_experiment(client, uri, "corridor") == created


def test_points_logged_twice_exist_once(single: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter is killed between the points of a batch and their tag."""
    writer = log_writer(single)
    for step in range(1_500):
        writer.append(Row(step, step / 1_500, step, {"final/return_mean": 0.1 * step}, Phase.FINAL))
    log_batch = MlflowClient.log_batch

    def killed(client: MlflowClient, run: str, metrics: object = (), params: object = (), tags: object = ()) -> None:
        log_batch(client, run, metrics, params)
        if tags:
            raise MlflowException("killed before the tag")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", killed)
        with pytest.raises(MlflowException, match="killed"):
            export_all(single)
    export_all(single)
    (run,) = active(single).values()
    history = MlflowClient(single.tracking.uri).get_metric_history(run.info.run_id, "final/return_mean")
    assert sorted((point.step, point.value) for point in history) == [(step, 0.1 * step) for step in range(1_500)]
    assert run.data.tags["pgexp.rows_synced"] == "1500"


def test_artifacts_equal_the_files_of_the_folder(single: SweepManifest, tmp_path: Path) -> None:
    """They replace a lost folder."""
    log_writer(single).end(RunState.FINISHED, complete=True)
    export_all(single)
    (run,) = active(single).values()
    client = MlflowClient(single.tracking.uri)
    copy = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (copy / "run.json").read_bytes() == (single.folder / "run.json").read_bytes()
    assert (copy / "metrics.parquet").read_bytes() == (single.folder / "metrics.parquet").read_bytes()
