"""Marker of a fully synchronised sweep."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_log import Row, RunLogWriter, RunState
from pgexp.tracking.export import SweepExport
from pgexp.tracking.sync_marker import is_synced, write_marker

ROW = Row(10, 0.1, 1000, {"train/return_mean": 1.0})


@pytest.fixture
def manifest(make_sweep: Callable[..., SweepManifest]) -> SweepManifest:
    return make_sweep()


def log_writer(manifest: SweepManifest, run: int) -> RunLogWriter:
    return RunLogWriter(manifest.folder_of(manifest.runs[run]) / "rows.jsonl")


def test_marker_is_written(manifest: SweepManifest) -> None:
    assert not is_synced(manifest)
    write_marker(manifest)
    assert is_synced(manifest)


def test_marker_expires_with_new_rows(manifest: SweepManifest) -> None:
    log_writer(manifest, 0).append(ROW)
    write_marker(manifest)
    assert is_synced(manifest)
    log_writer(manifest, 1).append(ROW)
    assert not is_synced(manifest)
    write_marker(manifest)
    log_writer(manifest, 0).resumed()
    assert not is_synced(manifest)


def test_marker_expires_with_new_runs(make_sweep: Callable[..., SweepManifest]) -> None:
    write_marker(make_sweep(seeds=(0, 1)))
    assert not is_synced(make_sweep(seeds=(0, 1, 2)))


def test_write_errors_are_ignored(manifest: SweepManifest) -> None:
    (manifest.folder / ".synced").mkdir()
    write_marker(manifest)
    assert not is_synced(manifest)


def test_export_writes_the_marker_at_the_end(make_sweep: Callable[..., SweepManifest], uri: str) -> None:
    manifest = make_sweep(uri, names="a")
    export = SweepExport(manifest)
    export.open()
    for run in (0, 1):
        log_writer(manifest, run).append(ROW)
        log_writer(manifest, run).end(RunState.KILLED)
        assert not is_synced(manifest)
        list(export.export_rows())
    assert is_synced(manifest)


def test_export_writes_the_marker_after_a_kill(make_sweep: Callable[..., SweepManifest], uri: str) -> None:
    manifest = make_sweep(uri, names="a")
    log_writer(manifest, 0).append(ROW)
    export = SweepExport(manifest)
    export.open()
    list(export.export_rows())
    assert not is_synced(manifest)
    list(export.export_rows(kill=True))
    assert is_synced(manifest)


def test_copied_sweep_is_synced(manifest: SweepManifest, tmp_path: Path) -> None:
    log_writer(manifest, 0).append(ROW)
    write_marker(manifest)
    moved = SweepManifest(**vars(manifest) | {"folder": Path(shutil.copytree(manifest.folder, tmp_path / "moved"))})
    assert is_synced(moved)
