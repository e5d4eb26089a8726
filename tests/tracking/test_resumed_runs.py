"""Resumed runs in the store, which must equal uninterrupted ones."""

import shutil
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking.client import MlflowClient, MlflowException
from pgexp.tracking.export import SweepExport
from tests.tiers import tiered

MakeSweep = Callable[..., SweepManifest]

ROWS = tuple(Row(steps, steps / 100, 1_000 + steps, {"train/return_mean": 0.5 * steps}) for steps in range(5, 101, 5))
FINAL = Row(100, 1.0, 2_000, {"final/return_mean": 3.0}, Phase.FINAL)

# The cases of the fast tier: each number of rows, time of the export and kind of end.
FAST = {
    (0, "at the end only", "killed"),
    (1, "immediately", "interrupted"),
    (10, "after the resumption", "killed"),
    (13, "immediately", "killed"),
    (20, "at the end only", "interrupted"),
}


def export_all(manifest: SweepManifest, kill: bool = False) -> SweepExport:
    """Export all rows by a new export."""
    export = SweepExport(manifest)
    export.open()
    for _ in export.export_rows(kill):
        pass
    return export


def stored(
    manifest: SweepManifest, metrics: Sequence[str] = ("train/return_mean", "final/return_mean")
) -> dict[str, object]:
    """Return what the store has of a single run, except its id."""
    client = MlflowClient(manifest.tracking.uri)
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    points = [point for name in metrics for point in client.get_metric_history(run.info.run_id, name)]
    return {
        "points": sorted((point.key, point.step, point.value) for point in points),
        "latest": run.data.metrics,
        "status": run.info.status,
        "rows synced": run.data.tags["pgexp.rows_synced"],
        "reason": run.data.tags.get("pgexp.reason"),
    }


def statuses(manifest: SweepManifest) -> dict[str, str]:
    client = MlflowClient(manifest.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {run.info.run_name: run.info.status for run in found}


@pytest.fixture
def uninterrupted(single: SweepManifest, tmp_path: Path) -> dict[str, object]:
    """What the store has of an uninterrupted run; the store is empty again afterwards."""
    database = Path(single.tracking.uri.removeprefix("sqlite:///"))
    kept = shutil.copy(database, tmp_path / "kept.db")
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    for row in (*ROWS, FINAL):
        log_writer.append(row)
    log_writer.end(RunState.FINISHED, complete=True)
    export_all(single)
    expected = stored(single)
    shutil.copy(kept, database)
    (single.folder / "rows.jsonl").unlink()
    return expected


@pytest.mark.parametrize(
    ("cut", "exported", "end"),
    tiered(
        product(
            [0, 1, 10, 13, 20], ["immediately", "at the end only", "after the resumption"], ["interrupted", "killed"]
        ),
        FAST.__contains__,
    ),
)
def test_resumed_run_equals_an_uninterrupted_one(
    single: SweepManifest, uninterrupted: dict[str, object], cut: int, exported: str, end: str
) -> None:
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    for row in ROWS[:cut]:
        log_writer.append(row)
    if end == "interrupted":
        log_writer.end(RunState.KILLED, "interrupted")
    if exported != "after the resumption":
        export_all(single, kill=True)
        assert stored_status(single) == "KILLED"
    log_writer.resumed()
    if exported == "immediately":
        export_all(single)
        assert stored_status(single) == "RUNNING"
    for row in (*ROWS[cut:], FINAL):
        log_writer.append(row)
    log_writer.end(RunState.FINISHED, complete=True)
    export_all(single)
    assert stored(single) == uninterrupted


def stored_status(manifest: SweepManifest) -> str:
    return statuses(manifest)["lr=a seed=7"]


@pytest.mark.parametrize("exports_twice", [True, False])
def test_points_do_not_depend_on_the_time_of_exports(single: SweepManifest, exports_twice: bool) -> None:
    """If the budget of a finished run is extended, its log continues after a complete end."""
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    for rows in (ROWS[:3], ROWS[3:]):
        log_writer.resumed()
        for row in rows:
            log_writer.append(row)
        log_writer.end(RunState.FINISHED, complete=True)
        if exports_twice:
            export_all(single)
    export_all(single)
    shown = [(step, 0.5 * step) for step in (5, 15, 50, 100)]  # the first rows of both halves, and the last rows
    assert stored(single)["points"] == [("train/return_mean", step, value) for step, value in shown]


def test_parents_resume_with_their_seeds(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    logs = [RunLogWriter(manifest.folder_of(run) / "rows.jsonl") for run in manifest.runs]
    for log_writer in logs[:-1]:
        log_writer.end(RunState.FINISHED, complete=True)
    export_all(manifest, kill=True)
    assert statuses(manifest) | {"lr=a": "FINISHED", "lr=b": "KILLED", "a and b": "KILLED"} == statuses(manifest)
    logs[-1].resumed()
    export_all(manifest)
    assert statuses(manifest) | {"lr=a": "FINISHED", "lr=b": "RUNNING", "a and b": "RUNNING"} == statuses(manifest)
    logs[-1].end(RunState.FINISHED, complete=True)
    export_all(manifest)
    assert set(statuses(manifest).values()) == {"FINISHED"}


def test_lost_answer_to_the_deletion_of_a_reason(single: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    log_writer.end(RunState.KILLED, "interrupted")
    export_all(single)
    log_writer.resumed()
    delete = MlflowClient.delete_tag

    def lost(client: MlflowClient, run: str, tag: str) -> None:
        delete(client, run, tag)
        raise MlflowException("the answer is lost")

    export = SweepExport(single)
    export.open()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "delete_tag", lost)
        with pytest.raises(MlflowException, match="lost"):
            next(export.export_rows())
    list(export.export_rows())
    assert stored(single)["reason"] is None
    assert stored_status(single) == "RUNNING"


def test_ended_run_is_not_written_again(single: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    for row in ROWS:
        log_writer.append(row)
    export_all(single, kill=True)
    before = stored(single)

    def fail(*_arguments: object, **_options: object) -> None:
        pytest.fail("an ended run was written again")

    for call in ("log_artifact", "set_terminated", "update_run"):
        monkeypatch.setattr(MlflowClient, call, fail)
    assert export_all(single, kill=True).rows == len(ROWS)
    assert stored(single) == before


def test_rows_with_equal_times_are_exported(single: SweepManifest) -> None:
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    log_writer.append(Row(1, 0.1, 1_000, {"evaluation/return_mean": 1.0}, Phase.EVALUATION))
    export_all(single, kill=True)
    log_writer.append(Row(2, 0.6, 1_000, {"evaluation/return_mean": 2.0}, Phase.EVALUATION))
    export_all(single, kill=True)
    expected = [("evaluation/return_mean", step, float(step)) for step in (1, 2)]
    assert stored(single, ["evaluation/return_mean"])["points"] == expected


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
def test_store_of_a_lost_folder_is_unchanged(single: SweepManifest, status: str) -> None:
    log_writer = RunLogWriter(single.folder / "rows.jsonl")
    log_writer.append(ROWS[0])
    if status == "FINISHED":
        log_writer.end(RunState.FINISHED, complete=True)
    export_all(single, kill=True)
    before = stored(single)
    (single.folder / "rows.jsonl").unlink()
    (single.folder / "metrics.parquet").unlink()
    export_all(single, kill=True)
    assert stored(single) == before
    assert not (single.folder / "metrics.parquet").exists()
