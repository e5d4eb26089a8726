import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.runs.metric_tables import read_metrics, write_tables
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking import artifacts
from pgexp.tracking.client import Metric, MlflowClient, MlflowException, Param, Run, RunTag
from pgexp.tracking.export import SweepExport
from tests.tiers import tiered

MakeSweep = Callable[..., SweepManifest]


def open_export(manifest: SweepManifest) -> SweepExport:
    export = SweepExport(manifest)
    export.open()
    return export


def export_all(export: SweepExport, kill: bool = False) -> bool:
    """Export all rows, and return whether every run has ended."""
    for _ in export.export_rows(kill):
        pass
    return export.is_over


def writers(manifest: SweepManifest) -> list[RunLogWriter]:
    return [RunLogWriter(manifest.folder_of(run) / "rows.jsonl") for run in manifest.runs]


def runs(manifest: SweepManifest) -> dict[str, Run]:
    """Return the manifest's runs in MLflow by their names, which are unique."""
    client = MlflowClient(manifest.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def points(manifest: SweepManifest, name: str, metric: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(manifest.tracking.uri).get_metric_history(runs(manifest)[name].info.run_id, metric)
    return sorted((point.step, point.timestamp, point.value) for point in history)


def files(manifest: SweepManifest, name: str) -> dict[str, Path]:
    """Return a run's artifacts by their paths."""
    folder = Path(runs(manifest)[name].info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def row(steps: int, value: float = 1.0, metric: str = "train/return_mean") -> Row:
    group = metric.partition("/")[0]
    return Row(steps, steps / 100, 1_000 + steps, {metric: value}, Phase("training" if group == "train" else group))


def test_all_mlflow_runs_exist_from_the_start(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    export_all(open_export(manifest))
    found = runs(manifest)
    assert found.keys() == {"a and b", "lr=a", "lr=b", "lr=a seed=0", "lr=a seed=1", "lr=b seed=0", "lr=b seed=1"}
    assert {run.info.status for run in found.values()} == {"RUNNING"}
    sweep, configuration, seed = (found[name] for name in ("a and b", "lr=b", "lr=b seed=1"))
    assert sweep.data.tags == {
        "mlflow.runName": "a and b",
        "mlflow.note.content": "pgexp -m lr=a,b",
        "pgexp.role": "sweep",
        "pgexp.sweep": "sweep-1",
        "pgexp.folder": str(manifest.folder),
        "pgexp.code": "c0de",
    }
    assert sweep.data.params == {}
    assert configuration.data.tags == {
        "mlflow.runName": "lr=b",
        "mlflow.runColor": "#D55E00",
        "mlflow.parentRunId": sweep.info.run_id,
        "pgexp.role": "configuration",
        "pgexp.sweep": "sweep-1",
        "pgexp.configuration": "configuration-b",
        "pgexp.configuration_name": "lr=b",
        "pgexp.reward_threshold": "475",
        "pgexp.code": "c0de",
    }
    assert configuration.data.params == {"lr": "b", "gamma": "0.5", "baseline.own": "True"}
    assert seed.data.tags == {
        "mlflow.runName": "lr=b seed=1",
        "mlflow.parentRunId": configuration.info.run_id,
        "pgexp.role": "run",
        "pgexp.sweep": "sweep-1",
        "pgexp.configuration": "configuration-b",
        "pgexp.configuration_name": "lr=b",
        "pgexp.record": "record-b-1",
        "pgexp.key": "key-b-1",
        "pgexp.folder": str(manifest.folder / "runs/b-1"),
        "pgexp.reward_threshold": "475",
        "of_seed": "1",
        "pgexp.code": "c0de",
    }
    assert seed.data.params == {"lr": "b", "seed": "1", "gamma": "0.5", "baseline.own": "True"}


def test_single_run_has_no_parent(single: SweepManifest) -> None:
    open_export(single)
    (run,) = runs(single).values()
    assert run.data.tags["pgexp.role"] == "run"
    assert run.data.tags["mlflow.note.content"] == "pgexp seed=7"
    assert run.data.tags.keys().isdisjoint({"mlflow.parentRunId", "pgexp.sweep"})


def test_many_long_params_are_logged(single: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    params = {f"p{number:03}": "x" * 7_000 for number in range(101)}
    single.runs[0].params.clear()
    single.runs[0].params.update(params)
    export_all(open_export(single))
    assert runs(single)["lr=a seed=7"].data.params == dict.fromkeys(params, "x" * 6_000)


def test_missing_params_are_added(single: SweepManifest) -> None:
    export_all(open_export(single))
    single.runs[0].params.update({"lr": "changed", "new": 1})
    export_all(open_export(single))
    (run,) = runs(single).values()
    assert run.data.params == {"lr": "a", "seed": "7", "gamma": "0.5", "baseline.own": "True", "new": "1"}


def test_artifacts_are_next_to_the_database(single: SweepManifest, tmp_path: Path) -> None:
    open_export(single)
    (run,) = runs(single).values()
    assert run.info.artifact_uri == f"file://{tmp_path}/mlartifacts/{run.info.run_id}/artifacts"


def test_deleted_experiment_is_reported(single: SweepManifest) -> None:
    client = MlflowClient(single.tracking.uri)
    client.delete_experiment(client.create_experiment("corridor"))
    with pytest.raises(ValueError, match="corridor is deleted"):
        open_export(single)


def test_new_rows_become_points(single: SweepManifest) -> None:
    export, (writer,) = open_export(single), writers(single)
    assert not export_all(export)
    writer.append(row(10, 1.5))
    assert not export_all(export)
    assert points(single, "lr=a seed=7", "train/return_mean") == [(10, 1_010, 1.5)]
    writer.append(row(60, 2.5))
    assert not export_all(export)
    assert not export_all(export)
    assert points(single, "lr=a seed=7", "train/return_mean") == [(10, 1_010, 1.5), (60, 1_060, 2.5)]
    assert (export.ended, export.rows) == (0, 2)


def test_mlflow_gets_downsampled_points_and_the_table(single: SweepManifest) -> None:
    export, (writer,) = open_export(single), writers(single)
    for steps in (10, 20, 30, 60, 70, 80):
        writer.append(row(steps))
    writer.append(row(25, metric="evaluation/return_mean"))
    writer.append(row(80, metric="final/return_mean"))
    writer.end(RunState.FINISHED, complete=True)
    assert export_all(export)
    name = "lr=a seed=7"
    assert [step for step, *_ in points(single, name, "train/return_mean")] == [10, 60, 80]
    assert [step for step, *_ in points(single, name, "evaluation/return_mean")] == [25]
    assert [step for step, *_ in points(single, name, "final/return_mean")] == [80]
    table = read_metrics(files(single, name)["metrics.parquet"])
    assert table.column("steps").to_pylist() == [10, 20, 25, 30, 60, 70, 80, 80]


def test_rows_synced_is_set_with_the_last_point(single: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int, int]] = []
    log_batch = MlflowClient.log_batch

    def counting(
        client: MlflowClient, run_id: str, metrics: list[Metric], params: list[Param], tags: list[RunTag]
    ) -> None:
        calls.append((len(metrics), len(params), len(tags)))
        log_batch(client, run_id, metrics, params, tags)

    export, (writer,) = open_export(single), writers(single)
    for steps in range(1, 1_001):
        writer.append(row(steps, metric="final/return_mean"))
    monkeypatch.setattr(MlflowClient, "log_batch", counting)
    export_all(export)
    assert calls == [(995, 4, 0), (5, 0, 1)]
    assert len(points(single, "lr=a seed=7", "final/return_mean")) == 1_000
    assert runs(single)["lr=a seed=7"].data.tags["pgexp.rows_synced"] == "1000"


def test_nonfinite_values_are_counted(single: SweepManifest) -> None:
    export, (writer,) = open_export(single), writers(single)
    writer.append(Row(10, 0.1, 1, {"a": math.nan, "b": math.inf, "c": 3.0}))
    writer.append(Row(20, 0.2, 1, {"a": -math.inf}))
    writer.end(RunState.FINISHED)
    export_all(export)
    (run,) = runs(single).values()
    assert run.data.metrics == {"c": 3.0}
    assert run.data.tags["pgexp.nonfinite"] == "3"


def test_files_are_logged_at_the_end(single: SweepManifest) -> None:
    kept = (
        "run.log",
        "policy/policy.json",
        "video/final.mp4",
        "provenance/git.json",
        "evaluations/0.json",
        "config.json",
        ".hydra/config.yaml",
    )
    for name in (*kept, "checkpoint.pt"):
        (single.folder / name).parent.mkdir(exist_ok=True)
        (single.folder / name).write_text(name)
    export, (writer,) = open_export(single), writers(single)
    writer.end(RunState.FAILED, "the reason")
    assert export_all(export)
    logged = files(single, "lr=a seed=7")
    expected = {*kept[:-1], "config/config.yaml", "run.json", "metrics.parquet", "timings.parquet"}
    assert logged.keys() == expected
    assert logged["config/config.yaml"].read_text() == ".hydra/config.yaml"
    (run,) = runs(single).values()
    assert (run.info.status, run.data.tags["pgexp.reason"]) == ("FAILED", "the reason")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (("FINISHED", "FAILED"), ("FINISHED", "FINISHED"), ("FINISHED", "FINISHED", "FINISHED")),
        (("FAILED", "FAILED"), ("FINISHED", "FINISHED"), ("FAILED", "FINISHED", "FINISHED")),
        (("FAILED", "FAILED"), ("FAILED", "FAILED"), ("FAILED", "FAILED", "FAILED")),
        (("FAILED", "KILLED"), ("FINISHED", "FINISHED"), ("KILLED", "FINISHED", "KILLED")),
        (("PRUNED", "PRUNED"), ("FINISHED", "PRUNED"), ("KILLED", "FINISHED", "FINISHED")),
        (("PRUNED", "FAILED"), ("FAILED", "PRUNED"), ("FAILED", "FAILED", "FAILED")),
    ],
)
def test_parents_end_with_their_seeds(
    uri: str,
    make_sweep: MakeSweep,
    a: tuple[RunState, RunState],
    b: tuple[RunState, RunState],
    expected: tuple[str, str, str],
) -> None:
    manifest = make_sweep(uri)
    export = open_export(manifest)
    *early, last = zip(writers(manifest), a + b, strict=True)
    for writer, status in early:
        writer.end(status)
    assert not export_all(export)
    found = runs(manifest)
    assert [found[name].info.status for name in ("lr=a", "lr=b", "a and b")] == [
        expected[0],
        "RUNNING",
        "RUNNING",
    ]
    last[0].end(last[1])
    assert export_all(export)
    found = runs(manifest)
    assert tuple(found[name].info.status for name in ("lr=a", "lr=b", "a and b")) == expected


def test_runs_without_an_end_are_killed(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    export, (done, cut) = open_export(manifest), writers(manifest)
    done.end(RunState.FINISHED)
    for steps in (10, 20):
        cut.append(row(steps))
    export_all(export, kill=True)
    found = runs(manifest)
    assert found["lr=a seed=0"].info.status == "FINISHED"
    killed = found["lr=a seed=1"]
    assert (killed.info.status, killed.info.end_time) == ("KILLED", 1_020)
    assert "ended before it" in killed.data.tags["pgexp.reason"]
    assert found["lr=a"].info.status == found["a and b"].info.status == "KILLED"
    assert [step for step, *_ in points(manifest, "lr=a seed=1", "train/return_mean")] == [10]
    table = read_metrics(files(manifest, "lr=a seed=1")["metrics.parquet"])
    assert table.column("steps").to_pylist() == [10, 20]


@pytest.mark.parametrize("done", tiered(range(6), lambda done: done in (1, 4)))
def test_second_export_adds_what_is_missing(uri: str, make_sweep: MakeSweep, done: int) -> None:
    manifest = make_sweep(uri, names="a")
    logs = writers(manifest)
    steps: list[Callable[[], None]] = [
        lambda: logs[0].append(row(10)),
        lambda: logs[0].append(row(20)),
        lambda: logs[0].end(RunState.FINISHED, complete=True),
        lambda: logs[1].append(row(30)),
        lambda: logs[1].end(RunState.KILLED),
    ]
    first = open_export(manifest)
    for step in steps[:done]:
        step()
        export_all(first)
    second = open_export(manifest)
    for step in steps[done:]:
        step()
    assert export_all(second)
    assert (second.ended, second.rows) == (2, 3)
    assert len(runs(manifest)) == 4
    assert [step for step, *_ in points(manifest, "lr=a seed=0", "train/return_mean")] == [10, 20]
    assert [step for step, *_ in points(manifest, "lr=a seed=1", "train/return_mean")] == [30]
    assert runs(manifest)["a and b"].info.status == "KILLED"


def test_finished_run_without_its_log_is_unchanged(single: SweepManifest) -> None:
    export, (writer,) = open_export(single), writers(single)
    writer.append(row(10))
    writer.end(RunState.FINISHED)
    export_all(export)
    (single.folder / "rows.jsonl").unlink()
    again = open_export(single)
    assert export_all(again)
    assert (again.ended, again.rows) == (1, 1)
    assert runs(single)["lr=a seed=7"].info.status == "FINISHED"


def test_repeated_rows_are_not_logged_twice(single: SweepManifest) -> None:
    """A resumed run repeats the rows after its checkpoint at another time."""
    export, (writer,) = open_export(single), writers(single)
    writer.append(Row(10, 0.1, 1_000, {"train/return_mean": 1.0}))
    writer.append(Row(60, 0.6, 2_000, {"train/return_mean": 2.0}))
    export_all(export)
    log_writer = single.folder / "rows.jsonl"
    log_writer.write_bytes(log_writer.read_bytes().splitlines(keepends=True)[0])
    again = open_export(single)
    writer.append(Row(60, 0.6, 5_000, {"train/return_mean": 2.0}))
    export_all(again)
    expected = [(10, 1_000, 1.0), (60, 2_000, 2.0)]
    assert points(single, "lr=a seed=7", "train/return_mean") == expected


def test_damaged_run_log_fails_its_run_only(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    export, (damaged, intact) = open_export(manifest), writers(manifest)
    damaged.append(row(10))
    with (manifest.folder / "runs/a-0/rows.jsonl").open("a") as file:
        file.write("not a row\n")
    intact.end(RunState.FINISHED)
    assert export_all(export)
    found = runs(manifest)
    assert found["lr=a seed=0"].info.status == "FAILED"
    assert "rows.jsonl, line 2" in found["lr=a seed=0"].data.tags["pgexp.reason"]
    assert points(manifest, "lr=a seed=0", "train/return_mean") == [(10, 1_010, 1.0)]
    assert found["lr=a seed=1"].info.status == found["lr=a"].info.status == "FINISHED"


def test_deleted_run_does_not_block_others(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    export = open_export(manifest)
    MlflowClient(uri).delete_run(runs(manifest)["lr=a seed=0"].info.run_id)
    for writer in writers(manifest):
        writer.append(row(10))
        writer.end(RunState.FINISHED)
    with pytest.raises(MlflowException, match="active"):
        export_all(export)
    found = runs(manifest)
    assert export.ended == 3
    assert (found["lr=a"].info.status, found["lr=b"].info.status) == ("RUNNING", "FINISHED")


def test_failing_run_does_not_block_others(uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_sweep(uri)
    export = open_export(manifest)
    poisoned, log_batch = runs(manifest)["lr=a seed=0"].info.run_id, MlflowClient.log_batch

    def failing(client: MlflowClient, run: str, *arguments: object, **options: object) -> None:
        if run == poisoned:
            raise MlflowException("an internal error of the server")  # the error code of a failing server, too
        log_batch(client, run, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", failing)
    for writer in writers(manifest):
        writer.append(row(10))
    for _ in range(2):
        with pytest.raises(MlflowException, match="internal"):
            export_all(export)
    assert export.rows == 3


@pytest.mark.parametrize(
    ("place", "call"), [(MlflowClient, "log_batch"), (artifacts, "link_file"), (MlflowClient, "set_terminated")]
)
def test_interrupted_call_can_be_repeated(
    single: SweepManifest, monkeypatch: pytest.MonkeyPatch, place: object, call: str
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise MlflowException("the store is away")

    export, (writer,) = open_export(single), writers(single)
    writer.append(row(10))
    writer.end(RunState.FINISHED)
    with monkeypatch.context() as patch:
        patch.setattr(place, call, fail)
        with pytest.raises(MlflowException, match="away"):
            export_all(export)
    assert export.ended == 0
    assert export_all(export)
    assert points(single, "lr=a seed=7", "train/return_mean") == [(10, 1_010, 1.0)]
    assert runs(single)["lr=a seed=7"].info.status == "FINISHED"
    assert "metrics.parquet" in files(single, "lr=a seed=7")


def test_pruned_run_is_killed_and_tagged(single: SweepManifest) -> None:
    export, (writer,) = open_export(single), writers(single)
    writer.append(row(10))
    writer.end(RunState.PRUNED, "pruned by the search", complete=True)
    for _ in range(2):
        assert export_all(export)
        (run,) = runs(single).values()
        assert run.info.status == "KILLED"
        assert run.data.tags["pgexp.pruned"] == "true"
        assert run.data.tags["pgexp.reason"] == "pruned by the search"
        export = open_export(single)


def test_killed_run_is_not_tagged_as_pruned(single: SweepManifest) -> None:
    writers(single)
    export_all(open_export(single), kill=True)
    (run,) = runs(single).values()
    assert (run.info.status, "pgexp.pruned" in run.data.tags) == ("KILLED", False)


def test_curves_are_those_of_the_manifest(single: SweepManifest) -> None:
    manifest = replace(single, tracking=replace(single.tracking, metrics=("train/*",), max_points=50))
    export, (writer,) = open_export(manifest), writers(manifest)
    for steps in (10, 20, 30):
        writer.append(
            Row(steps, steps / 100, 1_000 + steps, {"train/return_mean": 1.0 * steps, "policy/kl": 2.0 * steps})
        )
    export_all(export)
    assert points(manifest, "lr=a seed=7", "policy/kl") == []
    writer.end(RunState.FINISHED, complete=True)
    assert export_all(export)
    assert [step for step, *_ in points(manifest, "lr=a seed=7", "train/return_mean")] == [10, 20, 30]
    assert points(manifest, "lr=a seed=7", "policy/kl") == [(30, 1_030, 60.0)]


def provenance(folder: Path, code: bytes, key: str) -> None:
    (folder / "provenance").mkdir(parents=True, exist_ok=True)
    (folder / "provenance" / "code.zip").write_bytes(code)
    (folder / "provenance" / "git.json").write_text("{}")
    (folder / "provenance" / "origin.json").write_text(key)


def test_shared_provenance_is_logged_with_the_sweep(
    uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = make_sweep(uri)
    for index, run in enumerate(manifest.runs):
        provenance(manifest.folder_of(run), b"old" if index < 3 else b"new", run.key)
    shared: list[Path] = []
    link_file = artifacts.link_file
    monkeypatch.setattr(
        artifacts, "link_file", lambda source, target: (shared.append(source), link_file(source, target))
    )
    export = open_export(manifest)
    for writer in writers(manifest):
        writer.end(RunState.FINISHED, complete=True)
    assert export_all(export)
    assert sum(path.name == "code.zip" for path in shared) == 2
    found = runs(manifest)
    assert "provenance/code.zip" not in files(manifest, "lr=a seed=0")
    assert files(manifest, "lr=a seed=0")["provenance/origin.json"].read_text() == "key-a-0"
    folders = {name: found[name].data.tags["pgexp.provenance"] for name in found if "seed" in name}
    assert folders["lr=a seed=0"] == folders["lr=b seed=0"] != folders["lr=b seed=1"]
    sweep_files = files(manifest, "a and b")
    assert {name for name in sweep_files if name.startswith("provenance")} == {
        f"{folder}/{name}" for folder in folders.values() for name in ("code.zip", "git.json")
    }
    for name, code in (("lr=a seed=0", b"old"), ("lr=b seed=1", b"new")):
        copy = tmp_path / name
        artifacts.download_provenance(MlflowClient(uri), found[name], copy)
        assert (copy / "provenance" / "code.zip").read_bytes() == code
        assert (copy / "provenance" / "git.json").read_text() == "{}"


def test_single_run_has_its_own_provenance(single: SweepManifest) -> None:
    provenance(single.folder, b"code", "key")
    export, (writer,) = open_export(single), writers(single)
    writer.end(RunState.FINISHED, complete=True)
    assert export_all(export)
    assert {"provenance/code.zip", "provenance/git.json"} <= files(single, "lr=a seed=7").keys()
    assert "pgexp.provenance" not in runs(single)["lr=a seed=7"].data.tags


def test_tables_are_not_written_again(single: SweepManifest) -> None:
    export, (writer,) = open_export(single), writers(single)
    writer.append(row(10))
    write_tables(single.folder)
    before = (single.folder / "metrics.parquet").stat()
    writer.end(RunState.FINISHED, complete=True)
    assert export_all(export)
    assert (single.folder / "metrics.parquet").stat().st_ino == before.st_ino
    assert read_metrics(files(single, "lr=a seed=7")["metrics.parquet"]).column("steps").to_pylist() == [10]
