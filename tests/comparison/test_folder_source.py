"""Runs in folders, compared with those of a store."""

import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison import frames
from pgexp.runs.manifest import CachedRun, RunEntry, SweepManifest, Tracking, save_manifest
from pgexp.runs.metric_tables import write_tables
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.schema import names
from pgexp.schema.errors import UserError
from pgexp.tracking.export import SweepExport

OWN = ["run_id", "start", "artifacts"]  # a folder's run id is the folder


def run_entry(lr: float, seed: int, folder: str) -> RunEntry:
    params = {"env.id": "CartPole-v1", "seed": seed, "lr": lr, "clip": "None", "own": True, "widths": "[32, 32]"}
    tags = {names.TAG_THRESHOLD: "475.0"}
    name = f"lr={lr}"
    return RunEntry(
        folder, f"{lr}-{seed}", f"{name} seed={seed}", f"{lr} {seed}", f"key of {lr}", name, seed, params, tags
    )


def sweep_manifest(folder: Path, uri: str = "sqlite:///absent.db", sweep: str | None = "s1") -> SweepManifest:
    runs = tuple(run_entry(lr, seed, f"{lr}/{seed}") for lr in (0.1, 0.2) for seed in (0, 1))
    tags = {names.TAG_CODE: "c0de", names.TAG_DIRTY: "true"}
    manifest = SweepManifest(folder, sweep, "sweep", "pgexp -m lr=.1,.2", Tracking(uri, "corridor", 2), runs, tags)
    save_manifest(manifest)
    return manifest


def train(
    manifest: SweepManifest,
    number: int,
    score: float | None = None,
    status: RunState | None = RunState.FINISHED,
    reason: str = "",
) -> None:
    """Write the log of a run with three updates and, if it has a score, a final evaluation."""
    log = RunLogWriter(manifest.folder_of(manifest.runs[number]) / names.ROWS_FILE)
    for steps in (10, 20, 30):
        log.append(Row(steps, steps / 30, steps, {names.RETURN_MEAN: steps / 2, names.POLICY_LOSS: -1.0 / steps}))
    if score is not None:
        final = {names.FINAL_RETURN: score, "final/episode_length_mean": 17.0}
        log.append(Row(30, 1.0, 30, {names.EVALUATION_RETURN: 12.5}, Phase.EVALUATION))
        log.append(Row(30, 1.0, 30, final, Phase.FINAL))
    if status is not None:
        log.end(status, reason, complete=True)


def test_folder_and_store_give_equal_frames(fresh_store: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{shutil.copy(fresh_store, tmp_path / 'mlflow.db')}"
    manifest = sweep_manifest(tmp_path / "sweep", uri)
    for number, score in enumerate((1.0, 2.0, 3.0)):
        train(manifest, number, score)
    train(manifest, 3, status="FAILED", reason="the loss is not finite")
    export = SweepExport(manifest)
    export.open()
    list(export.export_rows())
    stored, standing = frames.runs(uri), frames.runs(manifest.folder)
    pd.testing.assert_frame_equal(standing.drop(columns=OWN), stored.drop(columns=OWN))
    pd.testing.assert_frame_equal(
        frames.metrics(standing).drop(columns="run_id"), frames.metrics(stored).drop(columns="run_id")
    )
    assert standing["run_id"].tolist() == [str(manifest.folder_of(run)) for run in manifest.runs]
    assert standing["reason"].tolist() == ["", "", "", "the loss is not finite"]


def test_runs_that_have_not_ended(tmp_path: Path) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 0, 5.0)
    train(manifest, 1, status=None)
    train(manifest, 2, 6.0, "KILLED")
    runs = frames.runs(tmp_path)
    assert runs["status"].tolist() == ["FINISHED", "RUNNING", "KILLED", "SCHEDULED"]
    assert runs[names.FINAL_RETURN].fillna(-1).tolist() == [5.0, -1.0, 6.0, -1.0]
    long = frames.metrics(runs, names=[names.RETURN_MEAN])
    assert long["run_id"].unique().tolist() == runs["run_id"].tolist()[:3], "from their spools"
    assert long.loc[long["run_id"] == runs["run_id"][1], "value"].tolist() == [5.0, 10.0, 15.0]


def test_an_outdated_table_is_not_read(tmp_path: Path) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 0, status="KILLED")
    folder = manifest.folder_of(manifest.runs[0])
    write_tables(folder)
    log = RunLogWriter(folder / names.ROWS_FILE)
    log.resumed()
    log.append(Row(40, 1.0, 40, {names.RETURN_MEAN: 20.0}))
    os.utime(folder / names.METRICS_FILE, ns=(0, 0))  # for any resolution of the file system's clock
    values = frames.metrics(frames.runs(tmp_path), names=[names.RETURN_MEAN])["value"]
    assert values.tolist() == [5.0, 10.0, 15.0, 20.0]


def test_a_complete_table_is_read_instead_of_its_spool(tmp_path: Path) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 0)
    folder = manifest.folder_of(manifest.runs[0])
    write_tables(folder)
    written = (folder / names.METRICS_FILE).stat().st_mtime_ns
    (folder / names.ROWS_FILE).write_text("damaged\n")
    os.utime(folder / names.ROWS_FILE, ns=(written, written))
    assert len(frames.metrics(frames.runs(tmp_path), names=[names.RETURN_MEAN])) == 3


def test_a_damaged_spool_is_named(tmp_path: Path) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 0)
    log = manifest.folder_of(manifest.runs[0]) / names.ROWS_FILE
    log.write_text("damaged\n" + log.read_text())
    with pytest.raises(UserError, match=f"{log}, line 1"):
        frames.metrics(frames.runs(tmp_path))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_nonfinite_scores_are_kept(tmp_path: Path, score: float) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 0, score)
    row = frames.runs(tmp_path).iloc[0]
    assert row[names.FINAL_RETURN] == score or math.isnan(score)
    assert row["final/episode_length_mean"] == 17.0


def test_an_extended_run_has_no_final_score(tmp_path: Path) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 0, 5.0)
    log = RunLogWriter(manifest.folder_of(manifest.runs[0]) / names.ROWS_FILE)
    log.resumed()
    log.append(Row(40, 1.0, 40, {names.RETURN_MEAN: 20.0}))
    log.append(Row(40, 1.0, 40, {names.EVALUATION_RETURN: 20.0}, Phase.EVALUATION))
    row = frames.runs(tmp_path).iloc[0]
    assert math.isnan(row[names.FINAL_RETURN])
    assert row["status"] == "RUNNING"


def test_folder_of_one_run(tmp_path: Path) -> None:
    manifest = sweep_manifest(tmp_path)
    train(manifest, 3, 5.0)
    runs = frames.runs(manifest.folder_of(manifest.runs[3]))
    assert runs[["name", "sweep", names.FINAL_RETURN]].to_numpy().tolist() == [["lr=0.2 seed=1", "s1", 5.0]]


def test_a_single_run_has_no_sweep(tmp_path: Path) -> None:
    save_manifest(
        SweepManifest(tmp_path, None, "run", "pgexp", Tracking("", "corridor", 2), (run_entry(0.1, 3, "."),), {})
    )
    (row,) = frames.runs(str(tmp_path)).to_dict("records")
    assert (row["seed"], row["status"], row["run_id"]) == (3, "SCHEDULED", str(tmp_path))
    assert row["sweep"] is None or math.isnan(row["sweep"])


def test_several_folders_give_each_run_once(tmp_path: Path) -> None:
    first, second = sweep_manifest(tmp_path / "a"), sweep_manifest(tmp_path / "b", sweep="s2")
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
def test_a_reused_run_with_and_without_its_folder(tmp_path: Path, kept: bool) -> None:
    old = sweep_manifest(tmp_path / "old")
    train(old, 0, 7.0)
    run = old.runs[0]
    reused = CachedRun(
        str(old.folder_of(run)), run.record, run.name, run.key, run.configuration, "lr=.1", 0, run.params, 7.0
    )
    new = replace(old, folder=tmp_path / "new", sweep="s2", runs=(run_entry(0.1, 5, "0"),), cached=(reused,))
    save_manifest(new)
    if not kept:
        shutil.rmtree(old.folder)
    runs = frames.runs(new.folder)
    assert runs[["seed", "sweep", "status"]].to_numpy().tolist() == [[0, "s2", "FINISHED"], [5, "s2", "SCHEDULED"]]
    assert runs[names.FINAL_RETURN].tolist()[0] == 7.0
    assert runs["threshold"].fillna(-1).tolist() == ([475.0, 475.0] if kept else [-1.0, 475.0])
    assert len(frames.metrics(runs, names=[names.RETURN_MEAN])) == (3 if kept else 0)


@pytest.mark.parametrize("damage", ["none", "damaged"])
def test_a_folder_without_a_record_is_rejected(tmp_path: Path, damage: str) -> None:
    if damage == "damaged":
        (tmp_path / names.MANIFEST_FILE).write_text("{}")
    with pytest.raises(UserError, match=f"{tmp_path} is not the folder of a sweep or run"):
        frames.runs(tmp_path)
