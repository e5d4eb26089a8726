import errno
import os
from pathlib import Path

import pytest

from pgexp.storage.local_artifacts import local_folder, place, share


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
def test_a_location_of_this_file_system_is_a_folder(location: str, folder: Path | None) -> None:
    assert local_folder(location) == folder


@pytest.mark.parametrize("put", [place, share])
def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path, put: object) -> None:
    assert callable(put)
    source, target = tmp_path / "source", tmp_path / "new" / "target"
    for content in ("old", "new"):
        source.unlink(missing_ok=True)
        source.write_text(content)
        for _ in range(2):
            put(source, target)
        assert target.read_text() == content
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_copy_does_not_change_with_its_source_and_a_shared_file_takes_no_room(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("before")
    place(source, tmp_path / "copy")
    share(source, tmp_path / "shared")
    assert source.stat().st_nlink == 2
    with source.open("a") as file:
        file.write(" and after")
    assert (tmp_path / "copy").read_text() == "before"


def test_where_files_can_t_be_shared_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refused)
    source = tmp_path / "source"
    source.write_text("content")
    share(source, tmp_path / "target")
    assert (tmp_path / "target").read_text() == "content"
    assert source.stat().st_nlink == 1
