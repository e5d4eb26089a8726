"""Index of finished runs."""

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest, save_manifest
from pgexp.runs.run_index import FinishedRun, RunIndex
from pgexp.runs.run_log import RunLogWriter, RunState
from pgexp.schema.names import INDEX_FILE

URI = "sqlite:///absent.db"


@pytest.fixture
def sweep(make_sweep: Callable[..., SweepManifest]) -> SweepManifest:
    manifest = make_sweep(URI)
    for run in manifest.runs:
        RunLogWriter(manifest.folder_of(run) / "rows.jsonl").end(RunState.FINISHED, complete=True)
    return manifest


@pytest.fixture
def index(tmp_path: Path) -> RunIndex:
    return RunIndex(tmp_path)


def test_finished_run_is_found_by_key_and_code(index: RunIndex, sweep: SweepManifest) -> None:
    assert index.find(URI, "corridor") == {}
    index.add(sweep, sweep.runs[1], 2.5)
    folder = str(sweep.folder_of(sweep.runs[1]))
    expected = FinishedRun("key-a-1", "c0de", "record-a-1", folder, 2.5, URI, "corridor")
    assert index.find(URI, "corridor") == {("key-a-1", "c0de"): expected}
    assert expected.is_intact()


def test_other_experiments_and_stores_are_separate(index: RunIndex, sweep: SweepManifest) -> None:
    index.add(sweep, sweep.runs[0], None)
    assert index.find(URI, "other") == index.find("sqlite:///other.db", "corridor") == {}


def test_latest_run_with_a_key_is_found(index: RunIndex, sweep: SweepManifest, tmp_path: Path) -> None:
    later = replace(sweep, folder=tmp_path / "later")
    other_code = replace(sweep, tags={"pgexp.code": "changed"})
    for manifest in (sweep, later, other_code):
        index.add(manifest, sweep.runs[0], None)
    found = index.find(URI, "corridor")
    assert found.keys() == {("key-a-0", "c0de"), ("key-a-0", "changed")}
    assert found["key-a-0", "c0de"].folder == str(tmp_path / "later" / "runs" / "a-0")


def test_run_whose_folder_is_lost_or_replaced_is_not_intact(index: RunIndex, sweep: SweepManifest) -> None:
    for run in sweep.runs:
        index.add(sweep, run, None)
    shutil.rmtree(sweep.folder_of(sweep.runs[0]))
    save_manifest(replace(sweep, runs=(replace(sweep.runs[1], record="another"),)))
    found = index.find(URI, "corridor").values()
    assert {run.key for run in found if run.is_intact()} == {"key-b-0", "key-b-1"}


def test_password_is_not_written(index: RunIndex, sweep: SweepManifest, tmp_path: Path) -> None:
    uri = "http://me:s3cret@host"
    index.add(replace(sweep, tracking=replace(sweep.tracking, uri=uri)), sweep.runs[0], None)
    assert "s3cret" not in (tmp_path / INDEX_FILE).read_text()
    assert len(index.find(uri, "corridor")) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": "a"}', '{"unknown": 1}'])
def test_damaged_lines_are_skipped(index: RunIndex, sweep: SweepManifest, tmp_path: Path, damage: str) -> None:
    index.add(sweep, sweep.runs[0], None)
    with (tmp_path / INDEX_FILE).open("a") as file:
        file.write(damage)  # without a newline, as by a killed process
    index.add(sweep, sweep.runs[1], None)
    assert len(index.find(URI, "corridor")) == 2


def add_all(index: RunIndex, sweep: SweepManifest, prefix: str) -> None:
    for number in range(50):
        index.add(sweep, replace(sweep.runs[0], key=f"{prefix}-{number}"), None)


def test_processes_can_append_concurrently(index: RunIndex, sweep: SweepManifest) -> None:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(add_all, [index] * 2, [sweep] * 2, "ab"))
    assert len(index.find(URI, "corridor")) == 100
