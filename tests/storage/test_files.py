import contextlib
from pathlib import Path

import pytest

from pgexp.storage.files import read_json, remove_drafts, replacing, write_json, write_text


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_text(path, "old")
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as draft:
        draft.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


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
