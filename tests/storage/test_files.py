import contextlib
import errno
import os
from pathlib import Path

import pytest

from pgexp.storage.files import SharedFiles, read_json, remove_drafts, replacing, write_json, write_text


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_text(path, "old")
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as draft:
        draft.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_files_of_one_content_are_one_file_under_several_names(tmp_path: Path) -> None:
    files = SharedFiles()
    contents = {"a/x": b"one", "b/x": b"one", "b/y": b"two", "c": b"one"}
    for name, content in contents.items():
        files.write(tmp_path / name, content)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    places = {name: (tmp_path / name).stat().st_ino for name in contents}
    assert places["a/x"] == places["b/x"] == places["c"] != places["b/y"]
    write_text(tmp_path / "a/x", "changed")
    assert (tmp_path / "b/x").read_bytes() == (tmp_path / "c").read_bytes() == b"one"


def test_a_shared_file_may_be_gone_or_written_again(tmp_path: Path) -> None:
    files = SharedFiles()
    for name in ("a", "b", "b"):
        files.write(tmp_path / name, b"one")
    (tmp_path / "a").unlink()
    for name in ("c", "d"):
        files.write(tmp_path / name, b"one")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys("bcd", b"one")
    assert (tmp_path / "c").stat().st_ino == (tmp_path / "d").stat().st_ino


def test_where_a_file_can_have_one_name_only_there_are_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    files = SharedFiles()
    for name in ("a", "b"):
        files.write(tmp_path / name, b"one")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"one", "b": b"one"}
    assert (tmp_path / "a").stat().st_ino != (tmp_path / "b").stat().st_ino


def test_a_killed_process_s_draft_is_not_written_into(tmp_path: Path) -> None:
    write_text(tmp_path / "kept", "kept")
    (tmp_path / f".new.{os.getpid()}").hardlink_to(tmp_path / "kept")
    SharedFiles().write(tmp_path / "new", b"one")
    assert (tmp_path / "kept").read_text() == "kept"
    assert (tmp_path / "new").read_bytes() == b"one"


def test_drafts_of_a_killed_writer_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [".lock", ".hidden", "file.12", ".12"]
    for name in (*kept, ".file.json.123"):
        (tmp_path / name).touch()
    remove_drafts(tmp_path)
    remove_drafts(tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_json_is_sorted_and_indented(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"b": 1, "a": [2]})
    assert (tmp_path / "file").read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'


def test_json_has_no_infinity(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file", {"a": float("inf")})
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_no_text_come_through(tmp_path: Path) -> None:
    write_text(tmp_path / "file", b"caf\xe9\r\n".decode("utf-8", "surrogateescape"))
    assert (tmp_path / "file").read_bytes() == b"caf\xe9\r\n"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "object was expected"),
        ("\xff", "not JSON"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, content: str | None, wrong: str) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=rf"file\.json: .*{wrong}"):
        read_json(path)
