"""Files that are either the old or the new one, never half of it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in a system's error of reading or writing it, which does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a draft's path to write to; the draft takes the place of ``path`` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with naming(path):
            yield draft
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class SharedFiles:
    """Writes files of which many are alike: those of one content are one file on the disk, under all of their names.

    So the runs of a sweep share what they have in common, as long as nobody writes into a file where it stands. Where
    the file system has no further name for a file, there is another file.
    """

    def __init__(self) -> None:
        self._written: dict[bytes, Path] = {}

    def write(self, path: Path, content: bytes) -> None:
        """Write a file as `replacing` does."""
        with replacing(path) as draft:
            try:
                draft.hardlink_to(self._written[content])
            except (KeyError, OSError):
                draft.unlink(missing_ok=True)  # a killed process's, which may be another file's name, too
                draft.write_bytes(content)
                self._written[content] = path


def remove_drafts(folder: Path) -> None:
    """Remove what writers left in a folder that were killed; nobody else may write there meanwhile."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.\d+", path.name) and path.is_file():
            path.unlink()


def as_bytes(text: str) -> bytes:
    """Return a text as UTF-8; what was read with ``surrogateescape`` goes back to the bytes that it was."""
    return text.encode("utf-8", "surrogateescape")


def as_json(value: Any) -> str:
    """Return plain JSON for people to read: sorted, indented, and refused where it holds NaN or infinity."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text as bytes."""
    with replacing(path) as draft:
        draft.write_bytes(as_bytes(text))


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    write_text(path, as_json(value))


def require_below(name: str) -> None:
    """Raise ValueError where a name, taken from a folder, leads out of it."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name!r} leads out of the folder")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; a ValueError names the file and what is wrong with it."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: a JSON object was expected, not {type(value).__name__}")
    return value
