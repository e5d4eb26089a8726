"""Files that are either the old or the new one, never half of it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a draft's path to write to; the draft takes the place of ``path`` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; what was read with ``surrogateescape`` goes back to the bytes that it was."""
    with replacing(path) as draft:
        draft.write_bytes(text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, value: Any) -> None:
    """Write plain JSON for people to read: sorted, indented, and refused where it holds NaN or infinity."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; a ValueError names the file and what is wrong with it."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: a JSON object was expected, not {type(value).__name__}")
    return value
