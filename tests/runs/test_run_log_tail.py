"""Reading of a run log from its end."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgexp.runs import run_log
from pgexp.runs.run_log import End, Item, Row, RunLogTail, RunLogWriter, RunState

ROWS = [Row(10 * n, n / 10, 1000 + n, {"train/return_mean": float(n)}) for n in range(1, 6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def append(path: Path, rows: Sequence[Row]) -> None:
    writer = RunLogWriter(path)
    for row in rows:
        writer.append(row)


def test_items_are_yielded_once_latest_first(path: Path) -> None:
    append(path, ROWS[:3])
    tail = RunLogTail(path)
    assert list(tail.read()) == ROWS[2::-1]
    assert list(tail.read()) == []
    append(path, ROWS[3:])
    assert list(tail.read()) == ROWS[:2:-1]


def test_unconsumed_items_are_not_yielded_again(path: Path) -> None:
    append(path, ROWS)
    tail = RunLogTail(path)
    assert list(islice(tail.read(), 2)) == [ROWS[4], ROWS[3]]
    assert list(tail.read()) == []


def test_line_is_yielded_once_it_is_complete(path: Path) -> None:
    append(path, ROWS[:1])
    whole = path.read_bytes()
    tail = RunLogTail(path)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert list(tail.read()) == []
    path.write_bytes(whole)
    assert list(tail.read()) == ROWS[:1]


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff\xfe", b'{"steps":20,"pro', b'{"end":"PAUSED","time":1}'])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_damaged_line_is_skipped(path: Path, damage: bytes, place: int) -> None:
    append(path, ROWS[:3])
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:place], damage, *lines[place:]]))
    assert list(RunLogTail(path).read()) == ROWS[2::-1]


def test_missing_run_log_is_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rows\.jsonl"):
        list(RunLogTail(path).read())


def test_only_the_end_of_a_huge_run_log_is_read(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)  # a sparse file, which uses no disk space
    with path.open("ab") as file:
        file.write(b"\n")
    with path.open("ab") as file:
        file.writelines(b'{"end":"KILLED","time":%d,"reason":"","complete":false}\n' % time for time in (7, 8))
    assert next(RunLogTail(path).read()) == End(RunState.KILLED, 8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(st.lists(st.integers(0, 60), max_size=6), min_size=1, max_size=4),
    block=st.integers(1, 100),
)
def test_any_run_log_is_read_backwards_in_any_blocks(
    path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[list[int]], block: int
) -> None:
    path.unlink(missing_ok=True)
    monkeypatch.setattr(run_log, "_BLOCK", block)
    path.touch()
    tail, number = RunLogTail(path), 0
    for lengths in reads:
        written: list[Item] = []
        for length in lengths:
            number += 1
            written.append(Row(number, 0.5, 1000, {"x" * length: 1.0}))
        append(path, written)
        assert list(tail.read()) == written[::-1]
