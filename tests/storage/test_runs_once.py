"""Each run stands in MLflow once, whatever calls were made twice, whatever was deleted there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run, connect
from pgexp.storage.mlflow_experiment import open_experiment
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record
from pgexp.storage.spool import Row, SpoolWriter
from tests.tiers import tiered

MakeRecord = Callable[..., Record]
NAMES = {"a and b", "lr=a", "lr=b", "lr=a seed=0", "lr=a seed=1", "lr=b seed=0", "lr=b seed=1"}


def opened(record: Record) -> MlflowSink:
    sink = MlflowSink(record)
    sink.open()
    return sink


def drained(record: Record) -> None:
    for _ in opened(record).drain(kill=True):
        pass


def active(record: Record) -> dict[str, Run]:
    """Return the runs that are not deleted, by name; no two of them have the same."""
    client = MlflowClient(record.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def steps(record: Record, name: str) -> list[int]:
    client = MlflowClient(record.tracking.uri)
    return [point.step for point in client.get_metric_history(active(record)[name].info.run_id, "loss/policy")]


def spool(record: Record, run: int = 0) -> SpoolWriter:
    return SpoolWriter(record.folder_of(record.runs[run]) / "rows.jsonl")


def test_runs_whose_creation_was_answered_to_nobody_and_made_again_stand_once(
    uri: str, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does an HTTP client that tries a call again whose answer it did not get."""
    record = make_record(uri)
    create = MlflowClient.create_run

    def twice(client: MlflowClient, *given: object, **named: object) -> Run:
        create(client, *given, **named)
        return create(client, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", twice)
        opened(record)
    found = active(record)
    assert found.keys() == NAMES
    assert found["lr=a"].data.tags["mlflow.parentRunId"] == found["a and b"].info.run_id
    assert found["lr=b seed=1"].data.tags["mlflow.parentRunId"] == found["lr=b"].info.run_id


@pytest.mark.parametrize("calls", tiered(range(7), lambda calls: calls in (0, 3)))
def test_a_sink_that_was_killed_while_it_made_the_runs_is_gone_on_with(
    uri: str, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    record = make_record(uri)
    create, left = MlflowClient.create_run, iter(range(calls))

    def killed(client: MlflowClient, *given: object, **named: object) -> Run:
        run = create(client, *given, **named)
        if next(left, None) is None:
            raise MlflowException("killed behind the call")
        return run

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", killed)
        with pytest.raises(MlflowException, match="killed"):
            opened(record)
    opened(record)
    assert active(record).keys() == NAMES
    assert active(record)["lr=b seed=1"].data.params == {"lr": "b", "seed": "1", "gamma": "0.5", "baseline.own": "True"}


def test_of_two_runs_the_one_that_has_most_is_kept(single: Record) -> None:
    spool(single).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    drained(single)
    (run,) = active(single).values()
    client = MlflowClient(single.tracking.uri)
    for _ in range(3):  # among so many, one has a smaller id as likely as not
        tags = {name: value for name, value in run.data.tags.items() if name != "pgexp.drained"}
        client.create_run(run.info.experiment_id, tags=tags, run_name=run.info.run_name)
    drained(single)
    assert active(single)["lr=a seed=7"].info.run_id == run.info.run_id
    assert steps(single, "lr=a seed=7") == [10]


def test_of_two_configurations_the_one_with_seeds_is_kept(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    opened(record)
    before = active(record)
    client = MlflowClient(uri)
    for name in ("a and b", "lr=a") * 3:
        client.create_run(before[name].info.experiment_id, tags=before[name].data.tags, run_name=name)
    opened(record)
    assert {name: run.info.run_id for name, run in active(record).items()} == {
        name: run.info.run_id for name, run in before.items()
    }


def test_a_run_that_a_server_made_late_is_deleted_at_the_end(single: Record) -> None:
    sink = opened(single)
    (run,) = active(single).values()
    late = MlflowClient(single.tracking.uri).create_run(run.info.experiment_id, tags=run.data.tags)
    spool(single).end("FINISHED", complete=True)
    for _ in sink.drain():
        pass
    assert {run.info.run_id for run in active(single).values()} == {run.info.run_id}
    assert late.info.run_id != run.info.run_id


def test_a_run_that_was_deleted_in_mlflow_is_restored(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    spool(record).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    drained(record)
    before = active(record)
    for name in ("lr=a seed=0", "lr=a", "a and b"):
        MlflowClient(uri).delete_run(before[name].info.run_id)
    drained(record)
    assert {run.info.run_id for run in active(record).values()} == {run.info.run_id for run in before.values()}
    assert steps(record, "lr=a seed=0") == [10]


def test_a_run_that_was_deleted_for_good_is_made_anew(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    spool(record).append(Row(10, 0.1, 1_000, {"loss/policy": 1.0}))
    drained(record)
    store = connect(uri)._tracking_client.store
    for name in ("lr=a seed=0", "lr=a"):
        run = active(record)[name].info.run_id
        store.delete_run(run)
        store._hard_delete_run(run)
    drained(record)
    found = active(record)
    assert found.keys() == NAMES
    assert steps(record, "lr=a seed=0") == [10]
    assert found["lr=a"].info.status == "KILLED"
    for seed in ("lr=a seed=0", "lr=a seed=1"):
        assert found[seed].data.tags["mlflow.parentRunId"] == found["lr=a"].info.run_id


def test_a_deleted_experiment_is_named_with_the_remedy(single: Record) -> None:
    client = MlflowClient(single.tracking.uri)
    experiment = client.create_experiment("corridor")
    client.delete_experiment(experiment)
    with pytest.raises(
        ValueError, match=f"corridor is deleted: .*mlflow experiments restore --experiment-id {experiment}"
    ):
        opened(single)


def test_an_experiment_that_another_process_makes_meanwhile_is_taken(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, look = MlflowClient(uri), MlflowClient.get_experiment_by_name
    made = client.create_experiment("corridor")
    looks = iter([lambda *_: None])  # at the first look it is not there yet
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", lambda *given: next(looks, look)(*given))
    assert open_experiment(client, uri, "corridor") == made


def test_points_that_are_brought_twice_stand_once(single: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the sink is killed behind the points of a batch and before it notes how far it got."""
    writer = spool(single)
    for step in range(1_500):
        writer.append(Row(step, step / 1_500, step, {"evaluation/return_mean": 0.1 * step}))
    log_batch = MlflowClient.log_batch

    def killed(client: MlflowClient, run: str, metrics: object = (), params: object = (), tags: object = ()) -> None:
        log_batch(client, run, metrics, params)
        if tags:
            raise MlflowException("killed before the tag")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", killed)
        with pytest.raises(MlflowException, match="killed"):
            drained(single)
    drained(single)
    (run,) = active(single).values()
    history = MlflowClient(single.tracking.uri).get_metric_history(run.info.run_id, "evaluation/return_mean")
    assert sorted((point.step, point.value) for point in history) == [(step, 0.1 * step) for step in range(1_500)]
    assert run.data.tags["pgexp.drained"] == "1500"


def test_the_artifacts_of_a_run_are_those_of_its_folder(single: Record, tmp_path: Path) -> None:
    """A store may be copied, and a folder lost."""
    spool(single).end("FINISHED", complete=True)
    drained(single)
    (run,) = active(single).values()
    client = MlflowClient(single.tracking.uri)
    copy = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (copy / "run.json").read_bytes() == (single.folder / "run.json").read_bytes()
    assert (copy / "metrics.parquet").read_bytes() == (single.folder / "metrics.parquet").read_bytes()
