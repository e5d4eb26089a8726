"""A run that was killed and went on: the store comes to what it has of a run that nothing disturbed."""

import shutil
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from pgexp.storage.mlflow_client import MlflowClient, MlflowException
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record
from pgexp.storage.spool import Row, SpoolWriter
from tests.tiers import tiered

MakeRecord = Callable[..., Record]

ROWS = tuple(Row(steps, steps / 100, 1_000 + steps, {"train/return_mean": 0.5 * steps}) for steps in range(5, 101, 5))
FINAL = Row(100, 1.0, 2_000, {"final/return_mean": 3.0})

# The cases of the fast tier: each number of rows, each moment and each kind of end.
FAST = {
    (0, "at its end alone", "killed"),
    (1, "at once", "interrupted"),
    (10, "not before all was over", "killed"),
    (13, "at once", "killed"),
    (20, "at its end alone", "interrupted"),
}


def drained(record: Record, kill: bool = False) -> MlflowSink:
    """Bring over, by a sink of its own, what there is."""
    sink = MlflowSink(record)
    sink.open()
    for _ in sink.drain(kill):
        pass
    return sink


def stored(record: Record, metrics: Sequence[str] = ("train/return_mean", "final/return_mean")) -> dict[str, object]:
    """Return all that the store has of a single run, but for its id."""
    client = MlflowClient(record.tracking.uri)
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    points = [point for name in metrics for point in client.get_metric_history(run.info.run_id, name)]
    return {
        "points": sorted((point.key, point.step, point.value) for point in points),
        "latest": run.data.metrics,
        "status": run.info.status,
        "drained": run.data.tags["pgexp.drained"],
        "reason": run.data.tags.get("pgexp.reason"),
    }


def statuses(record: Record) -> dict[str, str]:
    client = MlflowClient(record.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {run.info.run_name: run.info.status for run in found}


@pytest.fixture
def undisturbed(single: Record, tmp_path: Path) -> dict[str, object]:
    """What the store has of a run that was recorded in one go, after which the store is empty again."""
    database = Path(single.tracking.uri.removeprefix("sqlite:///"))
    kept = shutil.copy(database, tmp_path / "kept.db")
    spool = SpoolWriter(single.folder / "rows.jsonl")
    for row in (*ROWS, FINAL):
        spool.append(row)
    spool.end("FINISHED", complete=True)
    drained(single)
    expected = stored(single)
    shutil.copy(kept, database)
    (single.folder / "rows.jsonl").unlink()
    return expected


@pytest.mark.parametrize(
    ("cut", "seen", "told"),
    tiered(
        product(
            [0, 1, 10, 13, 20], ["at once", "at its end alone", "not before all was over"], ["interrupted", "killed"]
        ),
        FAST.__contains__,
    ),
)
def test_a_resumed_run_equals_an_undisturbed_one(
    single: Record, undisturbed: dict[str, object], cut: int, seen: str, told: str
) -> None:
    spool = SpoolWriter(single.folder / "rows.jsonl")
    for row in ROWS[:cut]:
        spool.append(row)
    if told == "interrupted":
        spool.end("KILLED", "interrupted")
    if seen != "not before all was over":
        drained(single, kill=True)
        assert stored_status(single) == "KILLED"
    spool.resumed()
    if seen == "at once":
        drained(single)
        assert stored_status(single) == "RUNNING"
    for row in (*ROWS[cut:], FINAL):
        spool.append(row)
    spool.end("FINISHED", complete=True)
    drained(single)
    assert stored(single) == undisturbed


def stored_status(record: Record) -> str:
    return statuses(record)["lr=a seed=7"]


@pytest.mark.parametrize("looked", [True, False])
def test_what_is_shown_last_does_not_depend_on_when_the_sink_looks(single: Record, looked: bool) -> None:
    """The budget of a finished run may be extended: then its spool goes on behind a complete end."""
    spool = SpoolWriter(single.folder / "rows.jsonl")
    for rows in (ROWS[:3], ROWS[3:]):
        spool.resumed()
        for row in rows:
            spool.append(row)
        spool.end("FINISHED", complete=True)
        if looked:
            drained(single)
    drained(single)
    shown = [(step, 0.5 * step) for step in (5, 15, 50, 100)]  # the firsts of the halves, and the lasts
    assert stored(single)["points"] == [("train/return_mean", step, value) for step, value in shown]


def test_configurations_and_sweep_go_on_with_their_seeds(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    spools = [SpoolWriter(record.folder_of(run) / "rows.jsonl") for run in record.runs]
    for spool in spools[:-1]:
        spool.end("FINISHED", complete=True)
    drained(record, kill=True)
    assert statuses(record) | {"lr=a": "FINISHED", "lr=b": "KILLED", "a and b": "KILLED"} == statuses(record)
    spools[-1].resumed()
    drained(record)
    assert statuses(record) | {"lr=a": "FINISHED", "lr=b": "RUNNING", "a and b": "RUNNING"} == statuses(record)
    spools[-1].end("FINISHED", complete=True)
    drained(record)
    assert set(statuses(record).values()) == {"FINISHED"}


def test_a_reason_whose_deletion_was_answered_to_nobody_is_gone(
    single: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = SpoolWriter(single.folder / "rows.jsonl")
    spool.end("KILLED", "interrupted")
    drained(single)
    spool.resumed()
    delete = MlflowClient.delete_tag

    def lost(client: MlflowClient, run: str, tag: str) -> None:
        delete(client, run, tag)
        raise MlflowException("the answer is lost")

    sink = MlflowSink(single)
    sink.open()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "delete_tag", lost)
        with pytest.raises(MlflowException, match="lost"):
            next(sink.drain())
    list(sink.drain())
    assert stored(single)["reason"] is None
    assert stored_status(single) == "RUNNING"


def test_what_has_ended_already_is_not_written_again(single: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolWriter(single.folder / "rows.jsonl")
    for row in ROWS:
        spool.append(row)
    drained(single, kill=True)
    before = stored(single)

    def written(*_given: object, **_named: object) -> None:
        pytest.fail("it is written again")

    for call in ("log_artifact", "set_terminated", "update_run"):
        monkeypatch.setattr(MlflowClient, call, written)
    assert drained(single, kill=True).rows == len(ROWS)
    assert stored(single) == before


def test_a_row_of_the_same_moment_as_the_last_before_a_kill_is_brought_over(single: Record) -> None:
    spool = SpoolWriter(single.folder / "rows.jsonl")
    spool.append(Row(1, 0.1, 1_000, {"evaluation/return_mean": 1.0}))
    drained(single, kill=True)
    spool.append(Row(2, 0.2, 1_000, {"evaluation/return_mean": 2.0}))
    drained(single, kill=True)
    expected = [("evaluation/return_mean", step, float(step)) for step in (1, 2)]
    assert stored(single, ["evaluation/return_mean"])["points"] == expected


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
def test_what_the_store_has_of_a_lost_folder_stays(single: Record, status: str) -> None:
    spool = SpoolWriter(single.folder / "rows.jsonl")
    spool.append(ROWS[0])
    if status == "FINISHED":
        spool.end("FINISHED", complete=True)
    drained(single, kill=True)
    before = stored(single)
    (single.folder / "rows.jsonl").unlink()
    (single.folder / "metrics.parquet").unlink()
    drained(single, kill=True)
    assert stored(single) == before
    assert not (single.folder / "metrics.parquet").exists()
