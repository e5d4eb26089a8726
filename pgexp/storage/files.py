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


def remove_drafts(folder: Path) -> None:
    """Remove what writers left in a folder that were killed; nobody else may write there meanwhile."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.\d+", path.name) and path.is_file():
            path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; what was read with ``surrogateescape`` goes back to the bytes that it was."""
    with replacing(path) as draft:
        draft.write_bytes(text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, value: Any) -> None:
    """Write plain JSON for people to read: sorted, indented, and refused where it holds NaN or infinity."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


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
