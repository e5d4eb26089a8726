"""Strategies of damage to files of any format, and to JSON values."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Damage = Callable[[Path], object]
"""Function that damages the file at a path."""

_JSON = st.sampled_from(
    [None, True, 0, -1, 10**30, 1.5, 1e308, float("nan"), float("-inf"), "", "x", "../../x", "/x", "a\0b", "\ud800",
     "e" * 5000, "${seed}", [], [None], [[]], {}, {"": 1}, {"_target_": "os.system"}, "os.system", "file:///etc", "***"]
)  # fmt: skip


def damages(path: Path) -> st.SearchStrategy[Damage]:
    """Return ways to damage a file: its bytes, its JSON values, or its type."""
    content = path.read_bytes()
    ways = [damaged(content).map(_written), st.sampled_from(_PLACES)]
    if path.suffix == ".json":
        ways.append(_changed(json.loads(content)).map(lambda value: _written(json.dumps(value).encode())))
    if path.suffix == ".jsonl":
        ways.append(_lines(content.splitlines()).map(_written))
    return st.one_of(ways)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return a file's content truncated, with bytes changed, removed or added, or other content."""
    at = draw(st.integers(0, max(0, len(content) - 1)))
    length = draw(st.integers(1, 8))
    turned = bytes(255 - byte for byte in content[at : at + length])
    return draw(
        st.sampled_from([content[:at], content[:at] + turned + content[at + length :], content[::-1] + b"\xff",
                         content[:at] + content[at + length :], content[:at] + bytes(length) + content[at:],
                         content + content])
        | st.binary(max_size=40)
    )  # fmt: skip


@st.composite
def _lines(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    at = draw(st.integers(0, len(lines) - 1))
    changed = json.dumps(draw(_changed(json.loads(lines[at])))).encode()
    return b"\n".join([*lines[:at], changed, *lines[at + 1 :], b""])


@st.composite
def _changed(draw: st.DrawFn, value: Any) -> Any:
    """Return a JSON value with one inner value replaced or removed."""
    *path, last = draw(st.sampled_from([*_paths(value)]))
    section = value
    for step in path:
        section = section[step]
    if draw(st.integers(0, 3)):
        section[last] = draw(_JSON)
    else:
        del section[last]
    return value


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (key,)
        if isinstance(inner, dict | list):
            yield from ((key, *rest) for rest in _paths(inner))


def _written(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def _instead(place: Damage) -> Damage:
    def put(path: Path) -> None:
        path.unlink()
        place(path)

    return put


_PLACES: tuple[Damage, ...] = (
    Path.unlink,
    _instead(Path.mkdir),
    _instead(lambda path: path.symlink_to(path)),
    _instead(lambda path: path.symlink_to(path.parent / "nothing")),
    _instead(lambda path: path.symlink_to("/dev/null")),
    _instead(lambda path: path.symlink_to("/proc/self/mem")),
)
