"""Full disks and file size limits: the error names the file, the old one is kept, and no draft is left."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgexp.runs import files, run_log
from pgexp.runs.files import write_json, write_text
from pgexp.runs.metric_tables import write_tables
from pgexp.runs.policy import read_policy, write_policy
from pgexp.runs.run_log import End, Row, RunLogReader, RunLogWriter, RunState
from pgexp.schema import names
from tests.limits import file_size_limit

SMALL = 300  # maximum bytes per file


def write_long_text(folder: Path) -> None:
    write_text(folder / "text", "x" * 1000)


def write_long_json(folder: Path) -> None:
    write_json(folder / "text", {"x": "x" * 1000})


def write_large_policy(folder: Path) -> None:
    write_policy(folder, {"w": np.zeros(1000)}, {"env": "new"})


def write_long_description(folder: Path) -> None:
    write_policy(folder, {"w": np.zeros(1)}, {"env": "x" * 1000})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with files that were written before."""
    write_text(tmp_path / "text", "old")
    write_policy(tmp_path, {"w": np.ones(2)}, {"env": "old"})
    RunLogWriter(tmp_path / names.ROWS_FILE).append(Row(1, 0.5, 1000, {"a": 1.0}))
    write_tables(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "write", [write_long_text, write_long_json, write_large_policy, write_long_description, write_tables]
)
def test_full_disk_keeps_the_old_files(write: Callable[[Path], None], folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with file_size_limit(SMALL), pytest.raises(OSError, match="File too large") as raised:
        write(folder)
    assert Path(raised.value.filename).parent == folder
    assert Path(raised.value.filename) in before
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_policy_files_are_replaced_together(folder: Path) -> None:
    with file_size_limit(SMALL), pytest.raises(OSError, match="File too large"):
        write_large_policy(folder)
    tensors, description = read_policy(folder)
    assert (tensors["w"].tolist(), description) == ([1.0, 1.0], {"env": "old"})


def test_row_that_does_not_fit_names_the_run_log(tmp_path: Path) -> None:
    path = tmp_path / names.ROWS_FILE
    writer = RunLogWriter(path)
    writer.append(Row(1, 0.5, 1000, {"a": 1.0}))
    with file_size_limit(path.stat().st_size), pytest.raises(OSError, match="File too large") as raised:
        writer.append(Row(2, 1.0, 2000, {"a": 2.0}))
    assert raised.value.filename == str(path)
    assert [item.time for item in RunLogReader(path).read()] == [1000]


@pytest.mark.parametrize("place", ["file/below", "/proc/below"])
def test_folder_that_cannot_be_created_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    folder = tmp_path / place
    with pytest.raises(OSError, match=r"below|file") as raised:
        write_text(folder / "text", "new")
    assert str(raised.value.filename) in str(folder / "text")
    assert (tmp_path / "file").read_text() == "a file"


def test_draft_is_removed_after_a_failed_replacement(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def read_only(draft: Path, path: Path) -> None:
        raise OSError(30, "Read-only file system", str(draft))

    monkeypatch.setattr(files.Path, "replace", read_only)
    with pytest.raises(OSError, match="Read-only") as raised:
        write_text(folder / "text", "new")
    assert raised.value.filename == str(folder / "text")
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_times_never_decrease(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / names.ROWS_FILE
    monkeypatch.setattr(run_log.time, "time_ns", lambda: 5_000 * 1_000_000)
    RunLogWriter(path).append(Row(1, 0.5, 9_000, {}))
    writer = RunLogWriter(path)
    writer.append(Row(2, 1.0, 7_000, {}))
    writer.end(RunState.FINISHED)
    *_, end = RunLogReader(path).read()
    assert [item.time for item in RunLogReader(path).read()] == [9_000, 9_000, 9_000]
    assert isinstance(end, End)


def test_damaged_run_log_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / names.ROWS_FILE
    path.write_bytes(b"not a row\n{")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 1"):
        RunLogWriter(path)
    assert path.read_bytes() == b"not a row\n{"
