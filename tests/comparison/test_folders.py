"""Runs read from their folders: as a store would tell them, and before it could."""

import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison import frames
from pgexp.comparison.store import ComparisonError
from pgexp.schema import names
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record, ReusedRun, RunRecord, Tracking, write
from pgexp.storage.spool import Row, SpoolWriter, Status
from pgexp.storage.tables import write_tables

OWN = ["run_id", "start", "artifacts"]  # a folder's run is named by the folder


def run_record(lr: float, seed: int, folder: str) -> RunRecord:
    params = {"env.id": "CartPole-v1", "seed": seed, "lr": lr, "clip": "None", "own": True, "widths": "[32, 32]"}
    tags = {names.TAG_THRESHOLD: "475.0"}
    name = f"lr={lr}"
    return RunRecord(
        folder, f"{lr}-{seed}", f"{name} seed={seed}", f"{lr} {seed}", f"key of {lr}", name, seed, params, tags
    )


def sweep_record(folder: Path, uri: str = "sqlite:///absent.db", sweep: str | None = "s1") -> Record:
    runs = tuple(run_record(lr, seed, f"{lr}/{seed}") for lr in (0.1, 0.2) for seed in (0, 1))
    tags = {names.TAG_CODE: "c0de", names.TAG_DIRTY: "true"}
    record = Record(folder, sweep, "sweep", "pgexp -m lr=.1,.2", Tracking(uri, "corridor", 2), runs, tags)
    write(record)
    return record


def train(
    record: Record, number: int, score: float | None = None, status: Status | None = "FINISHED", reason: str = ""
) -> None:
    """Let a run of the record train for three updates; it is evaluated at its end if it has a score."""
    spool = SpoolWriter(record.folder_of(record.runs[number]) / names.ROWS_FILE)
    for steps in (10, 20, 30):
        spool.append(Row(steps, steps / 30, steps, {names.RETURN_MEAN: steps / 2, names.POLICY_LOSS: -1.0 / steps}))
    if score is not None:
        final = {names.FINAL_RETURN: score, "final/episode_length_mean": 17.0}
        spool.append(Row(30, 1.0, 30, {names.EVALUATION_RETURN: 12.5}))
        spool.append(Row(30, 1.0, 30, final))
    if status is not None:
        spool.end(status, reason, complete=True)


def test_a_folder_tells_of_its_runs_what_the_store_tells(fresh_store: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{shutil.copy(fresh_store, tmp_path / 'mlflow.db')}"
    record = sweep_record(tmp_path / "sweep", uri)
    for number, score in enumerate((1.0, 2.0, 3.0)):
        train(record, number, score)
    train(record, 3, status="FAILED", reason="the loss is not finite")
    sink = MlflowSink(record)
    sink.open()
    list(sink.drain())
    stored, standing = frames.runs(uri), frames.runs(record.folder)
    pd.testing.assert_frame_equal(standing.drop(columns=OWN), stored.drop(columns=OWN))
    pd.testing.assert_frame_equal(
        frames.metrics(standing).drop(columns="run_id"), frames.metrics(stored).drop(columns="run_id")
    )
    assert standing["run_id"].tolist() == [str(record.folder_of(run)) for run in record.runs]
    assert standing["reason"].tolist() == ["", "", "", "the loss is not finite"]


def test_runs_that_have_not_ended_are_told_as_they_stand(tmp_path: Path) -> None:
    record = sweep_record(tmp_path)
    train(record, 0, 5.0)
    train(record, 1, status=None)
    train(record, 2, 6.0, "KILLED")
    runs = frames.runs(tmp_path)
    assert runs["status"].tolist() == ["FINISHED", "RUNNING", "KILLED", "SCHEDULED"]
    assert runs[names.FINAL_RETURN].fillna(-1).tolist() == [5.0, -1.0, 6.0, -1.0]
    long = frames.metrics(runs, names=[names.RETURN_MEAN])
    assert long["run_id"].unique().tolist() == runs["run_id"].tolist()[:3], "from their spools"
    assert long.loc[long["run_id"] == runs["run_id"][1], "value"].tolist() == [5.0, 10.0, 15.0]


def test_a_table_that_is_older_than_its_spool_is_not_read(tmp_path: Path) -> None:
    record = sweep_record(tmp_path)
    train(record, 0, status="KILLED")
    folder = record.folder_of(record.runs[0])
    write_tables(folder)
    spool = SpoolWriter(folder / names.ROWS_FILE)
    spool.resumed()
    spool.append(Row(40, 1.0, 40, {names.RETURN_MEAN: 20.0}))
    os.utime(folder / names.METRICS_FILE, ns=(0, 0))  # whatever the file system's clock counts in
    values = frames.metrics(frames.runs(tmp_path), names=[names.RETURN_MEAN])["value"]
    assert values.tolist() == [5.0, 10.0, 15.0, 20.0]


def test_a_table_that_is_whole_is_read_instead_of_its_spool(tmp_path: Path) -> None:
    record = sweep_record(tmp_path)
    train(record, 0)
    folder = record.folder_of(record.runs[0])
    write_tables(folder)
    written = (folder / names.METRICS_FILE).stat().st_mtime_ns
    (folder / names.ROWS_FILE).write_text("damaged\n")
    os.utime(folder / names.ROWS_FILE, ns=(written, written))
    assert len(frames.metrics(frames.runs(tmp_path), names=[names.RETURN_MEAN])) == 3


def test_a_damaged_spool_is_named(tmp_path: Path) -> None:
    record = sweep_record(tmp_path)
    train(record, 0)
    spool = record.folder_of(record.runs[0]) / names.ROWS_FILE
    spool.write_text("damaged\n" + spool.read_text())
    with pytest.raises(ComparisonError, match=f"{spool}, line 1"):
        frames.metrics(frames.runs(tmp_path))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_is_told_as_it_was_measured(tmp_path: Path, score: float) -> None:
    record = sweep_record(tmp_path)
    train(record, 0, score)
    row = frames.runs(tmp_path).iloc[0]
    assert row[names.FINAL_RETURN] == score or math.isnan(score)
    assert row["final/episode_length_mean"] == 17.0


def test_a_run_that_trained_on_has_no_final_score(tmp_path: Path) -> None:
    record = sweep_record(tmp_path)
    train(record, 0, 5.0)
    spool = SpoolWriter(record.folder_of(record.runs[0]) / names.ROWS_FILE)
    spool.resumed()
    spool.append(Row(40, 1.0, 40, {names.RETURN_MEAN: 20.0}))
    spool.append(Row(40, 1.0, 40, {names.EVALUATION_RETURN: 20.0}))
    row = frames.runs(tmp_path).iloc[0]
    assert math.isnan(row[names.FINAL_RETURN])
    assert row["status"] == "RUNNING"


def test_a_runs_folder_is_that_run_alone(tmp_path: Path) -> None:
    record = sweep_record(tmp_path)
    train(record, 3, 5.0)
    runs = frames.runs(record.folder_of(record.runs[3]))
    assert runs[["name", "sweep", names.FINAL_RETURN]].to_numpy().tolist() == [["lr=0.2 seed=1", "s1", 5.0]]


def test_a_single_run_has_no_sweep(tmp_path: Path) -> None:
    write(Record(tmp_path, None, "run", "pgexp", Tracking("", "corridor", 2), (run_record(0.1, 3, "."),), {}))
    (row,) = frames.runs(str(tmp_path)).to_dict("records")
    assert (row["seed"], row["status"], row["run_id"]) == (3, "SCHEDULED", str(tmp_path))
    assert row["sweep"] is None or math.isnan(row["sweep"])


def test_several_folders_are_one_frame_and_each_run_is_in_it_once(tmp_path: Path) -> None:
    first, second = sweep_record(tmp_path / "a"), sweep_record(tmp_path / "b", sweep="s2")
    runs = frames.runs([first.folder, second.folder, second.folder_of(second.runs[0])])
    assert runs.groupby("configuration_name")["seed"].agg(list).to_dict() == {
        "lr=0.1": [0, 0, 1, 1],
        "lr=0.2": [0, 0, 1, 1],
    }
    both = [first.folder, second.folder]
    assert set(frames.runs(both, sweeps="s2")["sweep"]) == {"s2"}
    assert frames.runs(both, ids=[str(first.folder_of(first.runs[1]))])["seed"].tolist() == [1]
    assert frames.runs(both, experiment="another").empty


@pytest.mark.parametrize("kept", [True, False])
def test_a_reused_run_is_a_row_and_has_its_metrics_while_its_folder_is_there(tmp_path: Path, kept: bool) -> None:
    old = sweep_record(tmp_path / "old")
    train(old, 0, 7.0)
    run = old.runs[0]
    reused = ReusedRun(
        str(old.folder_of(run)), run.record, "id", run.name, run.key, run.configuration, "lr=.1", 0, run.params, 7.0
    )
    new = replace(old, folder=tmp_path / "new", sweep="s2", runs=(run_record(0.1, 5, "0"),), reused=(reused,))
    write(new)
    if not kept:
        shutil.rmtree(old.folder)
    runs = frames.runs(new.folder)
    assert runs[["seed", "sweep", "status"]].to_numpy().tolist() == [[0, "s2", "FINISHED"], [5, "s2", "SCHEDULED"]]
    assert runs[names.FINAL_RETURN].tolist()[0] == 7.0
    assert runs["threshold"].fillna(-1).tolist() == ([475.0, 475.0] if kept else [-1.0, 475.0])
    assert len(frames.metrics(runs, names=[names.RETURN_MEAN])) == (3 if kept else 0)


@pytest.mark.parametrize("damage", ["none", "damaged"])
def test_what_is_no_recorded_folder_is_refused(tmp_path: Path, damage: str) -> None:
    if damage == "damaged":
        (tmp_path / names.RECORD_FILE).write_text("{}")
    with pytest.raises(ComparisonError, match=f"{tmp_path} is the folder of no sweep and no run"):
        frames.runs(tmp_path)
