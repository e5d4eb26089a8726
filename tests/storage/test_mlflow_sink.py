import math
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.storage import mlflow_files
from pgexp.storage.mlflow_client import Metric, MlflowClient, MlflowException, Run, RunTag
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record
from pgexp.storage.spool import Row, SpoolWriter, Status
from pgexp.storage.tables import read_metrics
from tests.tiers import tiered

MakeRecord = Callable[..., Record]


def opened(record: Record) -> MlflowSink:
    sink = MlflowSink(record)
    sink.open()
    return sink


def drained(sink: MlflowSink, kill: bool = False) -> bool:
    """Bring over what there is, and return whether every run has ended."""
    for _ in sink.drain(kill):
        pass
    return sink.over


def writers(record: Record) -> list[SpoolWriter]:
    return [SpoolWriter(record.folder_of(run) / "rows.jsonl") for run in record.runs]


def runs(record: Record) -> dict[str, Run]:
    """Return the record's runs in MLflow by name; no two of them have the same."""
    client = MlflowClient(record.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def points(record: Record, name: str, metric: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(record.tracking.uri).get_metric_history(runs(record)[name].info.run_id, metric)
    return sorted((point.step, point.timestamp, point.value) for point in history)


def files(record: Record, name: str) -> dict[str, Path]:
    """Return a run's artifacts by their paths."""
    folder = Path(runs(record)[name].info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def row(steps: int, value: float = 1.0, metric: str = "train/return_mean") -> Row:
    return Row(steps, steps / 100, 1_000 + steps, {metric: value})


def test_sweep_configurations_and_seeds_stand_from_the_start(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    opened(record)
    found = runs(record)
    assert found.keys() == {"a and b", "lr=a", "lr=b", "lr=a seed=0", "lr=a seed=1", "lr=b seed=0", "lr=b seed=1"}
    assert {run.info.status for run in found.values()} == {"RUNNING"}
    sweep, configuration, seed = (found[name] for name in ("a and b", "lr=b", "lr=b seed=1"))
    assert sweep.data.tags == {
        "mlflow.runName": "a and b",
        "mlflow.note.content": "pgexp -m lr=a,b",
        "pgexp.role": "sweep",
        "pgexp.sweep": "sweep-1",
        "pgexp.folder": str(record.folder),
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
        "pgexp.folder": str(record.folder / "runs/b-1"),
        "pgexp.reward_threshold": "475",
        "of_seed": "1",
        "pgexp.code": "c0de",
    }
    assert seed.data.params == {"lr": "b", "seed": "1", "gamma": "0.5", "baseline.own": "True"}


def test_a_single_run_has_nothing_above_it(single: Record) -> None:
    opened(single)
    (run,) = runs(single).values()
    assert run.data.tags["pgexp.role"] == "run"
    assert run.data.tags["mlflow.note.content"] == "pgexp seed=7"
    assert run.data.tags.keys().isdisjoint({"mlflow.parentRunId", "pgexp.sweep"})


def test_many_and_long_params_are_all_there(single: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    params = {f"p{number:03}": "x" * 7_000 for number in range(101)}
    single.runs[0].params.clear()
    single.runs[0].params.update(params)
    opened(single)
    assert runs(single)["lr=a seed=7"].data.params == dict.fromkeys(params, "x" * 6_000)


def test_params_that_are_missing_are_added_and_those_that_stand_stay(single: Record) -> None:
    opened(single)
    single.runs[0].params.update({"lr": "changed", "new": 1})
    opened(single)
    (run,) = runs(single).values()
    assert run.data.params == {"lr": "a", "seed": "7", "gamma": "0.5", "baseline.own": "True", "new": "1"}


def test_artifacts_stand_beside_the_database(single: Record, tmp_path: Path) -> None:
    opened(single)
    (run,) = runs(single).values()
    assert run.info.artifact_uri == f"file://{tmp_path}/mlartifacts/{run.info.run_id}/artifacts"


def test_a_deleted_experiment_is_named(single: Record) -> None:
    client = MlflowClient(single.tracking.uri)
    client.delete_experiment(client.create_experiment("corridor"))
    with pytest.raises(ValueError, match="corridor is deleted"):
        opened(single)


def test_rows_become_points_as_they_come(single: Record) -> None:
    sink, (writer,) = opened(single), writers(single)
    assert not drained(sink)
    writer.append(row(10, 1.5))
    assert not drained(sink)
    assert points(single, "lr=a seed=7", "train/return_mean") == [(10, 1_010, 1.5)]
    writer.append(row(60, 2.5))
    assert not drained(sink)
    assert not drained(sink)
    assert points(single, "lr=a seed=7", "train/return_mean") == [(10, 1_010, 1.5), (60, 1_060, 2.5)]
    assert (sink.ended, sink.rows) == (0, 2)


def test_mlflow_has_the_thinned_points_and_the_table_all(single: Record) -> None:
    sink, (writer,) = opened(single), writers(single)
    for steps in (10, 20, 30, 60, 70, 80):
        writer.append(row(steps))
    writer.append(row(25, metric="evaluation/return_mean"))
    writer.append(row(80, metric="final/return_mean"))
    writer.end("FINISHED", complete=True)
    assert drained(sink)
    name = "lr=a seed=7"
    assert [step for step, *_ in points(single, name, "train/return_mean")] == [10, 60, 80]
    assert [step for step, *_ in points(single, name, "evaluation/return_mean")] == [25]
    assert [step for step, *_ in points(single, name, "final/return_mean")] == [80]
    table = read_metrics(files(single, name)["metrics.parquet"])
    assert table.column("steps").to_pylist() == [10, 20, 25, 30, 60, 70, 80, 80]


def test_how_far_a_run_is_drained_is_said_after_its_last_point(single: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    log_batch = MlflowClient.log_batch

    def counting(client: MlflowClient, run_id: str, metrics: list[Metric], tags: list[RunTag]) -> None:
        calls.append((len(metrics), len(tags)))
        log_batch(client, run_id, metrics, tags=tags)

    sink, (writer,) = opened(single), writers(single)
    for steps in range(1, 1_001):
        writer.append(row(steps, metric="evaluation/return_mean"))
    monkeypatch.setattr(MlflowClient, "log_batch", counting)
    drained(sink)
    assert calls == [(999, 0), (1, 1)]
    assert len(points(single, "lr=a seed=7", "evaluation/return_mean")) == 1_000
    assert runs(single)["lr=a seed=7"].data.tags["pgexp.drained"] == "1000"


def test_what_is_not_finite_is_counted_and_left_out(single: Record) -> None:
    sink, (writer,) = opened(single), writers(single)
    writer.append(Row(10, 0.1, 1, {"a": math.nan, "b": math.inf, "c": 3.0}))
    writer.append(Row(20, 0.2, 1, {"a": -math.inf}))
    writer.end("FINISHED")
    drained(sink)
    (run,) = runs(single).values()
    assert run.data.metrics == {"c": 3.0}
    assert run.data.tags["pgexp.nonfinite"] == "3"


def test_a_run_that_ended_keeps_its_files(single: Record) -> None:
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
    sink, (writer,) = opened(single), writers(single)
    writer.end("FAILED", "the reason")
    assert drained(sink)
    artifacts = files(single, "lr=a seed=7")
    expected = {*kept[:-1], "config/config.yaml", "run.json", "metrics.parquet", "timings.parquet"}
    assert artifacts.keys() == expected
    assert artifacts["config/config.yaml"].read_text() == ".hydra/config.yaml"
    (run,) = runs(single).values()
    assert (run.info.status, run.data.tags["pgexp.reason"]) == ("FAILED", "the reason")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (("FINISHED", "FAILED"), ("FINISHED", "FINISHED"), ("FINISHED", "FINISHED", "FINISHED")),
        (("FAILED", "FAILED"), ("FINISHED", "FINISHED"), ("FAILED", "FINISHED", "FINISHED")),
        (("FAILED", "FAILED"), ("FAILED", "FAILED"), ("FAILED", "FAILED", "FAILED")),
        (("FAILED", "KILLED"), ("FINISHED", "FINISHED"), ("KILLED", "FINISHED", "KILLED")),
    ],
)
def test_configurations_and_sweep_end_with_their_seeds(
    uri: str,
    make_record: MakeRecord,
    a: tuple[Status, Status],
    b: tuple[Status, Status],
    expected: tuple[str, str, str],
) -> None:
    record = make_record(uri)
    sink = opened(record)
    *early, last = zip(writers(record), a + b, strict=True)
    for writer, status in early:
        writer.end(status)
    assert not drained(sink)
    found = runs(record)
    assert [found[name].info.status for name in ("lr=a", "lr=b", "a and b")] == [
        expected[0],
        "RUNNING",
        "RUNNING",
    ]
    last[0].end(last[1])
    assert drained(sink)
    found = runs(record)
    assert tuple(found[name].info.status for name in ("lr=a", "lr=b", "a and b")) == expected


def test_what_has_not_ended_is_marked_as_killed(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    sink, (done, cut) = opened(record), writers(record)
    done.end("FINISHED")
    for steps in (10, 20):
        cut.append(row(steps))
    drained(sink, kill=True)
    found = runs(record)
    assert found["lr=a seed=0"].info.status == "FINISHED"
    killed = found["lr=a seed=1"]
    assert (killed.info.status, killed.info.end_time) == ("KILLED", 1_020)
    assert "ended before it" in killed.data.tags["pgexp.reason"]
    assert found["lr=a"].info.status == found["a and b"].info.status == "KILLED"
    assert [step for step, *_ in points(record, "lr=a seed=1", "train/return_mean")] == [10]
    table = read_metrics(files(record, "lr=a seed=1")["metrics.parquet"])
    assert table.column("steps").to_pylist() == [10, 20]


@pytest.mark.parametrize("done", tiered(range(6), lambda done: done in (1, 4)))
def test_a_second_sink_adds_what_is_missing_and_nothing_twice(uri: str, make_record: MakeRecord, done: int) -> None:
    record = make_record(uri, names="a")
    spools = writers(record)
    steps: list[Callable[[], None]] = [
        lambda: spools[0].append(row(10)),
        lambda: spools[0].append(row(20)),
        lambda: spools[0].end("FINISHED", complete=True),
        lambda: spools[1].append(row(30)),
        lambda: spools[1].end("KILLED"),
    ]
    first = opened(record)
    for step in steps[:done]:
        step()
        drained(first)
    second = opened(record)
    for step in steps[done:]:
        step()
    assert drained(second)
    assert (second.ended, second.rows) == (2, 3)
    assert len(runs(record)) == 4
    assert [step for step, *_ in points(record, "lr=a seed=0", "train/return_mean")] == [10, 20]
    assert [step for step, *_ in points(record, "lr=a seed=1", "train/return_mean")] == [30]
    assert runs(record)["a and b"].info.status == "KILLED"


def test_a_finished_run_is_left_alone(single: Record) -> None:
    sink, (writer,) = opened(single), writers(single)
    writer.append(row(10))
    writer.end("FINISHED")
    drained(sink)
    (single.folder / "rows.jsonl").unlink()
    again = opened(single)
    assert drained(again)
    assert (again.ended, again.rows) == (1, 1)
    assert runs(single)["lr=a seed=7"].info.status == "FINISHED"


def test_rows_that_a_resumed_run_repeats_are_not_recorded_twice(single: Record) -> None:
    """A run that goes on from a checkpoint repeats the rows after it, to the bit, at another time."""
    sink, (writer,) = opened(single), writers(single)
    writer.append(Row(10, 0.1, 1_000, {"train/return_mean": 1.0}))
    writer.append(Row(60, 0.6, 2_000, {"train/return_mean": 2.0}))
    drained(sink)
    spool = single.folder / "rows.jsonl"
    spool.write_bytes(spool.read_bytes().splitlines(keepends=True)[0])
    again = opened(single)
    writer.append(Row(60, 0.6, 5_000, {"train/return_mean": 2.0}))
    drained(again)
    expected = [(10, 1_000, 1.0), (60, 2_000, 2.0)]
    assert points(single, "lr=a seed=7", "train/return_mean") == expected


def test_a_damaged_spool_fails_its_run_and_no_other(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    sink, (damaged, sound) = opened(record), writers(record)
    damaged.append(row(10))
    with (record.folder / "runs/a-0/rows.jsonl").open("a") as file:
        file.write("not a row\n")
    sound.end("FINISHED")
    assert drained(sink)
    found = runs(record)
    assert found["lr=a seed=0"].info.status == "FAILED"
    assert "rows.jsonl, line 2" in found["lr=a seed=0"].data.tags["pgexp.reason"]
    assert points(record, "lr=a seed=0", "train/return_mean") == [(10, 1_010, 1.0)]
    assert found["lr=a seed=1"].info.status == found["lr=a"].info.status == "FINISHED"


def test_a_run_deleted_meanwhile_holds_up_no_other(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    sink = opened(record)
    MlflowClient(uri).delete_run(runs(record)["lr=a seed=0"].info.run_id)
    for writer in writers(record):
        writer.append(row(10))
        writer.end("FINISHED")
    with pytest.raises(MlflowException, match="active"):
        drained(sink)
    found = runs(record)
    assert sink.ended == 3
    assert (found["lr=a"].info.status, found["lr=b"].info.status) == ("RUNNING", "FINISHED")


def test_a_run_at_which_the_store_always_fails_holds_up_no_other(
    uri: str, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record(uri)
    sink = opened(record)
    poisoned, log_batch = runs(record)["lr=a seed=0"].info.run_id, MlflowClient.log_batch

    def failing(client: MlflowClient, run: str, *given: object, **named: object) -> None:
        if run == poisoned:
            raise MlflowException("an internal error of the server")  # as it is told of a whole server, too
        log_batch(client, run, *given, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", failing)
    for writer in writers(record):
        writer.append(row(10))
    for _ in range(2):
        with pytest.raises(MlflowException, match="internal"):
            drained(sink)
    assert sink.rows == 3


@pytest.mark.parametrize(
    ("place", "call"), [(MlflowClient, "log_batch"), (mlflow_files, "place"), (MlflowClient, "set_terminated")]
)
def test_an_interrupted_call_may_be_made_again(
    single: Record, monkeypatch: pytest.MonkeyPatch, place: object, call: str
) -> None:
    def away(*_args: object, **_more: object) -> None:
        raise MlflowException("the store is away")

    sink, (writer,) = opened(single), writers(single)
    writer.append(row(10))
    writer.end("FINISHED")
    with monkeypatch.context() as patch:
        patch.setattr(place, call, away)
        with pytest.raises(MlflowException, match="away"):
            drained(sink)
    assert sink.ended == 0
    assert drained(sink)
    assert points(single, "lr=a seed=7", "train/return_mean") == [(10, 1_010, 1.0)]
    assert runs(single)["lr=a seed=7"].info.status == "FINISHED"
    assert "metrics.parquet" in files(single, "lr=a seed=7")
