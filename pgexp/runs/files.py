"""Reading and atomic writing of files."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Add the file's name to an OSError, which errors of reading and writing lack."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield the path of a draft, which replaces `path` if the block ends without an error.

    A reader sees the old file or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with named_errors(path):
            yield draft
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class LinkedFiles:
    """Writer of many files that stores equal contents once, as hard links to one file.

    The runs of a sweep share files in this way, so no process may write into them. If the file system does not support
    another link, the file is written again.
    """

    def __init__(self) -> None:
        self._written: dict[bytes, Path] = {}

    def write(self, path: Path, content: bytes) -> None:
        """Write a file as `replace_file` does."""
        with replace_file(path) as draft:
            try:
                draft.hardlink_to(self._written[content])
            except (KeyError, OSError):
                draft.unlink(missing_ok=True)  # a draft of a killed process may be a link to another file
                draft.write_bytes(content)
                self._written[content] = path


def copy_file(source: Path, target: Path) -> None:
    """Copy a file as `replace_file` writes it."""
    with replace_file(target) as draft:
        shutil.copyfile(source, draft)


def link_file(source: Path, target: Path) -> None:
    """Make `target` a hard link to a file that is never modified, or a copy if links are not supported."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    except OSError:  # the target exists, the file system has no links, or it is another file system
        with replace_file(target) as draft:
            try:
                os.link(source, draft)
            except OSError:
                shutil.copyfile(source, draft)


def remove_drafts(folder: Path) -> None:
    """Remove the drafts of killed writers from a folder. No other process may write there meanwhile."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.\d+", path.name) and path.is_file():
            path.unlink()


def as_bytes(text: str) -> bytes:
    """Encode a text as UTF-8; text that was decoded with ``surrogateescape`` gives its original bytes."""
    return text.encode("utf-8", "surrogateescape")


def as_json(value: Any) -> str:
    """Return readable JSON with sorted keys. Raises ValueError if the value contains NaN or infinity."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text, encoded as by `as_bytes`."""
    with replace_file(path) as draft:
        draft.write_bytes(as_bytes(text))


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    write_text(path, as_json(value))


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises ValueError with the file's name if it is missing or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: must be a JSON object (got {type(value).__name__})")
    return value


def require_inside(name: str) -> None:
    """Raise ValueError if a path is not inside the folder to which it is relative."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"path {name!r} is outside the folder")
