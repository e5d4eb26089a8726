"""A sweep that grows: its record is written again with more runs, which the next sink adds below the same parents."""

from collections.abc import Callable
from dataclasses import replace

from pgexp.storage.mlflow_client import MlflowClient, Run
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record, write
from pgexp.storage.spool import Row, SpoolWriter
from pgexp.storage.syncing import sync

MakeRecord = Callable[..., Record]


def brought(record: Record) -> MlflowSink:
    sink = MlflowSink(record)
    sink.open()
    for _ in sink.drain():
        pass
    return sink


def end(record: Record, *names: str) -> None:
    for run in record.runs:
        if run.name in names:
            spool = SpoolWriter(record.folder_of(run) / "rows.jsonl")
            spool.append(Row(100, 1.0, 1_000, {"final/return_mean": 1.0}))
            spool.end("FINISHED", complete=True)


def stored(record: Record) -> dict[str, Run]:
    client = MlflowClient(record.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def test_a_sweep_goes_on_with_the_runs_that_are_added_to_it(uri: str, make_record: MakeRecord) -> None:
    grown = make_record(uri)
    first = replace(grown, runs=(grown.runs[0],), name="one run")
    write(first)
    end(first, "lr=a seed=0")
    assert brought(first).over
    before = stored(first)
    assert {run.info.status for run in before.values()} == {"FINISHED"}

    write(grown)
    end(grown, "lr=b seed=0", "lr=b seed=1")
    assert not brought(grown).over
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
    assert brought(grown).over
    assert {run.info.status for run in stored(grown).values()} == {"FINISHED"}


def test_a_name_that_a_person_gave_the_sweep_stays_while_it_does_not_grow(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    brought(record)
    MlflowClient(uri).update_run(stored(record)["a and b"].info.run_id, name="mine")
    brought(record)
    assert "mine" in stored(record)


def test_what_nobody_trains_any_more_is_ended_even_if_its_sink_died_before_it_opened(
    uri: str, make_record: MakeRecord
) -> None:
    record = make_record(uri, names="a")
    sync(record)
    found = stored(record)
    assert {name: run.info.status for name, run in found.items()} == dict.fromkeys(
        ("a and b", "lr=a", "lr=a seed=0", "lr=a seed=1"), "KILLED"
    )


def test_what_was_added_and_never_trained_is_ended_too(uri: str, make_record: MakeRecord) -> None:
    grown = make_record(uri, names="a")
    first = replace(grown, runs=(grown.runs[0],))
    write(first)
    end(first, "lr=a seed=0")
    brought(first)
    write(grown)
    sync(grown)
    statuses = {name: run.info.status for name, run in stored(grown).items()}
    assert statuses == {"a and b": "KILLED", "lr=a": "KILLED", "lr=a seed=0": "FINISHED", "lr=a seed=1": "KILLED"}
