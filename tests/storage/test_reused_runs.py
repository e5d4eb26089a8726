"""Runs that a sweep reuses stand in the store once, and count in it as its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.comparison import frames
from pgexp.comparison.summary import summary
from pgexp.storage.finding import found_sweep
from pgexp.storage.mlflow_client import MlflowClient, Run, connect
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record, ReusedRun, read, write
from pgexp.storage.spool import Row, SpoolWriter

MakeRecord = Callable[..., Record]
SCORES = {"record-a-0": 10.0, "record-a-1": 20.0, "record-b-0": 5.0}


@pytest.fixture
def old(uri: str, make_record: MakeRecord) -> Record:
    """A sweep of configuration a with seeds 0 and 1, and of b with seed 0, which has finished."""
    made = make_record(uri)
    record = replace(made, runs=made.runs[:3])
    write(record)
    train(record)
    return record


@pytest.fixture
def new(old: Record, make_record: MakeRecord, tmp_path: Path) -> Record:
    """A sweep of configuration a with seeds 0 to 2, and of b with seed 0; all but one run of the old one's."""
    return extended(old, make_record, tmp_path / "new")


def extended(old: Record, make_record: MakeRecord, folder: Path) -> Record:
    client = connect(old.tracking.uri)
    ids = {run.data.tags.get("pgexp.record"): run.info.run_id for run in all_runs(client)}
    reused = tuple(
        ReusedRun(
            folder=str(old.folder_of(run)),
            record=run.record,
            run_id=ids[run.record],
            name=run.name,
            key=run.key,
            configuration=run.configuration,
            configuration_name=f"gamma=0.5 {run.configuration_name}",
            seed=run.seed,
            params=run.params,
            score=SCORES[run.record],
        )
        for run in old.runs
    )
    added = replace(
        old.runs[0],
        record="record-a-2",
        folder="2",
        name="lr=a seed=2",
        seed=2,
        params=old.runs[0].params | {"seed": 2},
        configuration_name="gamma=0.5 lr=a",
    )
    record = replace(old, folder=folder, sweep="sweep-2", name="new", runs=(added,), reused=reused)
    write(record)
    return record


def train(record: Record, score: float = 30.0) -> None:
    """Let the runs of a record come to their end, and bring them over."""
    for run in record.runs:
        spool = SpoolWriter(record.folder_of(run) / "rows.jsonl")
        spool.append(Row(100, 1.0, 1_000, {"final/return_mean": SCORES.get(run.record, score)}))
        spool.end("FINISHED", complete=True)
        (record.folder_of(run) / "config.json").write_text("{}")
    bring(record)


def bring(record: Record) -> MlflowSink:
    sink = MlflowSink(record)
    sink.open()
    for _ in sink.drain():
        pass
    return sink


def all_runs(client: MlflowClient) -> list[Run]:
    return [*client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])]


def by_name(record: Record, sweep: str) -> dict[str, Run]:
    found = all_runs(connect(record.tracking.uri))
    return {run.info.run_name: run for run in found if run.data.tags["pgexp.sweep"] == sweep}


def test_a_reused_run_stays_where_it_is_and_is_a_member_of_both_sweeps(old: Record, new: Record) -> None:
    before = by_name(old, "sweep-1")
    train(new)
    after = by_name(old, "sweep-1")
    assert after.keys() == before.keys()
    for name in ("lr=a seed=0", "lr=a seed=1", "lr=b seed=0"):
        assert after[name].data.tags == before[name].data.tags | {"pgexp.sweep.sweep-2": "reused"}
        assert after[name].info.end_time == before[name].info.end_time
    found = by_name(new, "sweep-2")
    assert found.keys() == {"new", "gamma=0.5 lr=a", "gamma=0.5 lr=b", "lr=a seed=2"}
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_a_configuration_counts_the_seeds_that_it_reuses(old: Record, new: Record) -> None:
    bring(new)
    found = by_name(new, "sweep-2")
    early = found["gamma=0.5 lr=a"].data.metrics
    assert (early["over_seeds/seeds"], early["over_seeds/return_mean"]) == (2, 15.0)
    assert found["gamma=0.5 lr=b"].data.metrics["over_seeds/return_iqm"] == 5.0
    assert found["gamma=0.5 lr=b"].info.status == "FINISHED"
    train(new)
    late = by_name(new, "sweep-2")["gamma=0.5 lr=a"].data.metrics
    assert (late["over_seeds/seeds"], late["over_seeds/return_mean"]) == (3, 20.0)


def test_the_comparison_of_a_sweep_shows_all_its_seeds_under_its_own_names(old: Record, new: Record) -> None:
    train(new)
    uri = new.tracking.uri
    seeds = frames.runs(uri, sweeps="sweep-2")
    assert seeds[["configuration_name", "seed", "final/return_mean"]].to_numpy().tolist() == [
        ["gamma=0.5 lr=a", 0, 10.0],
        ["gamma=0.5 lr=a", 1, 20.0],
        ["gamma=0.5 lr=a", 2, 30.0],
        ["gamma=0.5 lr=b", 0, 5.0],
    ]
    row = summary(seeds, frames.metrics(seeds, uri)).to_dict("records")[0]
    told = by_name(new, "sweep-2")["gamma=0.5 lr=a"].data.metrics
    assert (row["iqm_low"], row["iqm_high"]) == (told["over_seeds/return_low"], told["over_seeds/return_high"])
    assert len(frames.runs(uri, sweeps="sweep-1")) == 3
    assert len(frames.runs(uri)) == 4


def test_a_sweep_is_reproduced_with_the_runs_that_it_reuses(old: Record, new: Record) -> None:
    train(new)
    expected = {new.folder / "2", *(old.folder_of(run) for run in old.runs)}
    with found_sweep(str(new.folder), "") as found:
        assert set(found.runs) == expected
    with found_sweep("sweep-2", new.tracking.uri) as found:
        assert set(found.runs) == expected


def test_a_second_sink_marks_nothing_again(old: Record, new: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    train(new)
    before = all_runs(connect(new.tracking.uri))

    def written(*_args: object, **_more: object) -> None:
        raise AssertionError("a second sink has nothing to write")

    for call in ("set_tag", "set_terminated", "create_run", "update_run"):
        monkeypatch.setattr(MlflowClient, call, written)
    assert bring(new).over
    assert [run.to_dictionary() for run in all_runs(connect(new.tracking.uri))] == [
        run.to_dictionary() for run in before
    ]


@pytest.mark.parametrize("for_good", [True, False])
def test_a_reused_run_that_was_deleted_is_gone_on_without(old: Record, new: Record, for_good: bool) -> None:
    store = connect(new.tracking.uri)._tracking_client.store
    lost = new.reused[0].run_id
    store.delete_run(lost)
    if for_good:
        store._hard_delete_run(lost)
    train(new)
    told = by_name(new, "sweep-2")["gamma=0.5 lr=a"].data.metrics
    assert (told["over_seeds/seeds"], told["over_seeds/return_mean"]) == (2, 25.0)
    assert frames.runs(new.tracking.uri, sweeps="sweep-2")["seed"].tolist() == [1, 2, 0]


def test_a_sweep_of_reused_runs_alone_is_over_at_once(old: Record, new: Record) -> None:
    record = replace(new, runs=())
    write(record)
    assert bring(record).over
    assert {run.info.status for run in by_name(new, "sweep-2").values()} == {"FINISHED"}
    assert len(frames.runs(new.tracking.uri, sweeps="sweep-2")) == 3


def test_a_record_keeps_what_it_reuses(new: Record) -> None:
    assert read(new.folder) == new


def test_a_single_run_reuses_nothing(new: Record) -> None:
    with pytest.raises(ValueError, match="without a sweep reuses no run"):
        replace(new, sweep=None)


def test_a_run_is_trained_or_reused(new: Record) -> None:
    with pytest.raises(ValueError, match="share a record"):
        replace(new, runs=(replace(new.runs[0], record="record-a-1"),))
