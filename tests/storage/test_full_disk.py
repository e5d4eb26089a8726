"""A disk that is full, or takes no more of a file: the error names it, the old one stays, and no draft is left."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgexp.schema import names
from pgexp.storage import files, spool
from pgexp.storage.files import write_json, write_text
from pgexp.storage.policy import read_policy, write_policy
from pgexp.storage.spool import End, Row, SpoolReader, SpoolWriter
from pgexp.storage.tables import write_tables
from tests.limits import file_size_limit

SMALL = 300  # bytes that a file may have


def texts(folder: Path) -> None:
    write_text(folder / "text", "x" * 1000)


def jsons(folder: Path) -> None:
    write_json(folder / "text", {"x": "x" * 1000})


def policies(folder: Path) -> None:
    write_policy(folder, {"w": np.zeros(1000)}, {"env": "new"})


def described(folder: Path) -> None:
    write_policy(folder, {"w": np.zeros(1)}, {"env": "x" * 1000})


def tables(folder: Path) -> None:
    write_tables(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder from before the disk was full."""
    write_text(tmp_path / "text", "old")
    write_policy(tmp_path, {"w": np.ones(2)}, {"env": "old"})
    SpoolWriter(tmp_path / names.ROWS_FILE).append(Row(1, 0.5, 1000, {"a": 1.0}))
    write_tables(tmp_path)
    return tmp_path


@pytest.mark.parametrize("write", [texts, jsons, policies, described, tables])
def test_what_does_not_fit_leaves_the_old_files(write: Callable[[Path], None], folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with file_size_limit(SMALL), pytest.raises(OSError, match="File too large") as raised:
        write(folder)
    assert Path(raised.value.filename).parent == folder
    assert Path(raised.value.filename) in before
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_policy_is_never_half_of_two(folder: Path) -> None:
    with file_size_limit(SMALL), pytest.raises(OSError, match="File too large"):
        policies(folder)
    tensors, description = read_policy(folder)
    assert (tensors["w"].tolist(), description) == ([1.0, 1.0], {"env": "old"})


def test_a_row_that_does_not_fit_at_all_names_the_spool(tmp_path: Path) -> None:
    path = tmp_path / names.ROWS_FILE
    writer = SpoolWriter(path)
    writer.append(Row(1, 0.5, 1000, {"a": 1.0}))
    with file_size_limit(path.stat().st_size), pytest.raises(OSError, match="File too large") as raised:
        writer.append(Row(2, 1.0, 2000, {"a": 2.0}))
    assert raised.value.filename == str(path)
    assert [item.time for item in SpoolReader(path).read()] == [1000]


@pytest.mark.parametrize("place", ["file/below", "/proc/below"])
def test_a_folder_that_cannot_be_made_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    folder = tmp_path / place
    with pytest.raises(OSError, match=r"below|file") as raised:
        write_text(folder / "text", "new")
    assert str(raised.value.filename) in str(folder / "text")
    assert (tmp_path / "file").read_text() == "a file"


def test_a_draft_that_cannot_take_its_place_is_removed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def read_only(draft: Path, path: Path) -> None:
        raise OSError(30, "Read-only file system", str(draft))

    monkeypatch.setattr(files.Path, "replace", read_only)
    with pytest.raises(OSError, match="Read-only") as raised:
        write_text(folder / "text", "new")
    assert raised.value.filename == str(folder / "text")
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_a_record_does_not_go_back_when_the_clock_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / names.ROWS_FILE
    monkeypatch.setattr(spool.time, "time_ns", lambda: 5_000 * 1_000_000)
    SpoolWriter(path).append(Row(1, 0.5, 9_000, {}))
    writer = SpoolWriter(path)
    writer.append(Row(2, 1.0, 7_000, {}))
    writer.end("FINISHED")
    *_, end = SpoolReader(path).read()
    assert [item.time for item in SpoolReader(path).read()] == [9_000, 9_000, 9_000]
    assert isinstance(end, End)


def test_a_spool_that_is_damaged_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / names.ROWS_FILE
    path.write_bytes(b"not a row\n{")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 1"):
        SpoolWriter(path)
    assert path.read_bytes() == b"not a row\n{"
