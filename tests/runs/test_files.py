import contextlib
import errno
import os
from pathlib import Path

import pytest

from pgexp.runs.files import (
    LinkedFiles,
    copy_file,
    link_file,
    read_json,
    remove_drafts,
    replace_file,
    write_json,
    write_text,
)
from pgexp.tracking.store import local_folder


def test_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_text(path, "old")
    with contextlib.suppress(KeyboardInterrupt), replace_file(path) as draft:
        draft.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_equal_contents_are_hard_links(tmp_path: Path) -> None:
    files = LinkedFiles()
    contents = {"a/x": b"one", "b/x": b"one", "b/y": b"two", "c": b"one"}
    for name, content in contents.items():
        files.write(tmp_path / name, content)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    places = {name: (tmp_path / name).stat().st_ino for name in contents}
    assert places["a/x"] == places["b/x"] == places["c"] != places["b/y"]
    write_text(tmp_path / "a/x", "changed")
    assert (tmp_path / "b/x").read_bytes() == (tmp_path / "c").read_bytes() == b"one"


def test_linked_file_may_be_deleted_or_rewritten(tmp_path: Path) -> None:
    files = LinkedFiles()
    for name in ("a", "b", "b"):
        files.write(tmp_path / name, b"one")
    (tmp_path / "a").unlink()
    for name in ("c", "d"):
        files.write(tmp_path / name, b"one")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys("bcd", b"one")
    assert (tmp_path / "c").stat().st_ino == (tmp_path / "d").stat().st_ino


def test_files_are_copied_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    files = LinkedFiles()
    for name in ("a", "b"):
        files.write(tmp_path / name, b"one")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"one", "b": b"one"}
    assert (tmp_path / "a").stat().st_ino != (tmp_path / "b").stat().st_ino


def test_draft_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    write_text(tmp_path / "kept", "kept")
    (tmp_path / f".new.{os.getpid()}").hardlink_to(tmp_path / "kept")
    LinkedFiles().write(tmp_path / "new", b"one")
    assert (tmp_path / "kept").read_text() == "kept"
    assert (tmp_path / "new").read_bytes() == b"one"


def test_only_drafts_are_removed(tmp_path: Path) -> None:
    kept = [".lock", ".hidden", "file.12", ".12"]
    for name in (*kept, ".file.json.123"):
        (tmp_path / name).touch()
    remove_drafts(tmp_path)
    remove_drafts(tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_json_is_sorted_and_indented(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"b": 1, "a": [2]})
    assert (tmp_path / "file").read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'


def test_json_with_infinity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file", {"a": float("inf")})
    assert list(tmp_path.iterdir()) == []


def test_invalid_utf8_is_preserved(tmp_path: Path) -> None:
    write_text(tmp_path / "file", b"caf\xe9\r\n".decode("utf-8", "surrogateescape"))
    assert (tmp_path / "file").read_bytes() == b"caf\xe9\r\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ("\xff", "not JSON"),
    ],
)
def test_unreadable_json_is_reported_with_the_file(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=rf"file\.json: .*{problem}"):
        read_json(path)


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("file:///a/b%20c/artifacts", Path("/a/b c/artifacts")),
        ("file://localhost/a", Path("/a")),
        ("/a/b", Path("/a/b")),
        ("file://elsewhere/a", None),
        ("mlflow-artifacts:/0/1/artifacts", None),
        ("s3://bucket/a", None),
        ("https://host/a", None),
    ],
)
def test_local_location_is_a_folder(location: str, folder: Path | None) -> None:
    assert local_folder(location) == folder


@pytest.mark.parametrize("write", [copy_file, link_file])
def test_existing_file_is_replaced(tmp_path: Path, write: object) -> None:
    assert callable(write)
    source, target = tmp_path / "source", tmp_path / "new" / "target"
    for content in ("old", "new"):
        source.unlink(missing_ok=True)
        source.write_text(content)
        for _ in range(2):
            write(source, target)
        assert target.read_text() == content
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_copy_is_independent_and_link_is_not(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("before")
    copy_file(source, tmp_path / "copy")
    link_file(source, tmp_path / "link")
    assert source.stat().st_nlink == 2
    with source.open("a") as file:
        file.write(" and after")
    assert (tmp_path / "copy").read_text() == "before"


def test_file_is_copied_if_links_are_not_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refused)
    source = tmp_path / "source"
    source.write_text("content")
    link_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_text() == "content"
    assert source.stat().st_nlink == 1
