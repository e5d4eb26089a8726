"""A spool read from its end: what it yields, in which order, and how little of the file that takes."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgexp.storage import tailing
from pgexp.storage.spool import End, Item, Row, SpoolWriter
from pgexp.storage.tailing import SpoolTail

ROWS = [Row(10 * n, n / 10, 1000 + n, {"train/return_mean": float(n)}) for n in range(1, 6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def append(path: Path, rows: Sequence[Row]) -> None:
    writer = SpoolWriter(path)
    for row in rows:
        writer.append(row)


def test_the_newest_comes_first_and_each_once(path: Path) -> None:
    append(path, ROWS[:3])
    tail = SpoolTail(path)
    assert list(tail.read()) == ROWS[2::-1]
    assert list(tail.read()) == []
    append(path, ROWS[3:])
    assert list(tail.read()) == ROWS[:2:-1]


def test_what_the_caller_does_not_take_is_not_yielded_again(path: Path) -> None:
    append(path, ROWS)
    tail = SpoolTail(path)
    assert list(islice(tail.read(), 2)) == [ROWS[4], ROWS[3]]
    assert list(tail.read()) == []


def test_a_line_is_yielded_once_it_is_whole(path: Path) -> None:
    append(path, ROWS[:1])
    whole = path.read_bytes()
    tail = SpoolTail(path)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert list(tail.read()) == []
    path.write_bytes(whole)
    assert list(tail.read()) == ROWS[:1]


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff\xfe", b'{"steps":20,"pro', b'{"end":"PAUSED","time":1}'])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_damaged_line_is_left_out(path: Path, damage: bytes, place: int) -> None:
    append(path, ROWS[:3])
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:place], damage, *lines[place:]]))
    assert list(SpoolTail(path).read()) == ROWS[2::-1]


def test_a_spool_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rows\.jsonl"):
        list(SpoolTail(path).read())


def test_of_a_spool_beyond_all_memory_the_end_alone_is_read(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)  # a hole, which takes no room on the disk
    with path.open("ab") as file:
        file.write(b"\n")
    with path.open("ab") as file:
        file.writelines(b'{"end":"KILLED","time":%d,"reason":"","complete":false}\n' % time for time in (7, 8))
    assert next(SpoolTail(path).read()) == End("KILLED", 8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    looks=st.lists(st.lists(st.integers(0, 60), max_size=6), min_size=1, max_size=4),
    block=st.integers(1, 100),
)
def test_any_spool_in_blocks_of_any_size_is_read_backwards(
    path: Path, monkeypatch: pytest.MonkeyPatch, looks: list[list[int]], block: int
) -> None:
    path.unlink(missing_ok=True)
    monkeypatch.setattr(tailing, "_BLOCK", block)
    path.touch()
    tail, number = SpoolTail(path), 0
    for lengths in looks:
        written: list[Item] = []
        for length in lengths:
            number += 1
            written.append(Row(number, 0.5, 1000, {"x" * length: 1.0}))
        append(path, written)
        assert list(tail.read()) == written[::-1]
