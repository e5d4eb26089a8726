import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgexp.runs.run_log import End, Phase, Row, RunLogReader, RunLogWriter, RunState
from tests.limits import file_size_limit, open_files_limit

FIRST = Row(10, 0.1, 1_000, {"train/return_mean": -1.5, "timing/steps_per_second": 3e5})
SECOND = Row(20, 0.2, 2_000, {"evaluation/return_mean": 0.1}, Phase.EVALUATION)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "rows.jsonl"


def test_rows_and_end_are_read_in_order(path: Path) -> None:
    writer = RunLogWriter(path)
    writer.append(FIRST)
    writer.append(SECOND)
    writer.end(RunState.FAILED, "a reason\nof two lines")
    *rows, end = RunLogReader(path).read()
    assert rows == [FIRST, SECOND]
    assert isinstance(end, End)
    assert (end.status, end.reason) == ("FAILED", "a reason\nof two lines")


def test_reader_returns_each_row_once(path: Path) -> None:
    reader = RunLogReader(path)
    assert reader.read() == []
    writer = RunLogWriter(path)
    assert reader.read() == []
    writer.append(FIRST)
    assert reader.read() == [FIRST]
    assert reader.offset == path.stat().st_size
    writer.append(SECOND)
    assert reader.read() == [SECOND]
    assert reader.read() == []
    assert reader.offset == path.stat().st_size


@pytest.mark.parametrize("last", ["row", "end"])
def test_truncated_last_line_keeps_earlier_rows(path: Path, last: str) -> None:
    writer = RunLogWriter(path)
    writer.append(FIRST)
    writer.append(SECOND)
    whole = path.stat().st_size
    if last == "row":
        writer.append(Row(30, 0.3, 3_000, {"loss/policy": 2.0}))
    else:
        writer.end(RunState.FINISHED)
    content = path.read_bytes()
    for size in range(whole, len(content)):
        path.write_bytes(content[:size])
        reader = RunLogReader(path)
        assert reader.read() == [FIRST, SECOND]
        assert reader.offset == whole
        with path.open("ab") as file:
            file.write(content[size:])
        assert len(reader.read()) == 1


def test_writer_continues_after_a_truncated_line(path: Path) -> None:
    RunLogWriter(path).append(FIRST)
    with path.open("ab") as file:
        file.write(b'{"steps":20,"pro')
    reader = RunLogReader(path)
    assert reader.read() == [FIRST]
    RunLogWriter(path).append(SECOND)
    assert reader.read() == [SECOND]
    assert RunLogReader(path).read() == [FIRST, SECOND]


def test_writer_continues_after_a_full_disk(path: Path) -> None:
    writer = RunLogWriter(path)
    writer.append(FIRST)
    with file_size_limit(path.stat().st_size + 10), pytest.raises(OSError, match="No space left"):
        writer.append(SECOND)
    assert RunLogReader(path).read() == [FIRST]
    writer.append(SECOND)
    assert RunLogReader(path).read() == [FIRST, SECOND]


def test_nonfinite_values_are_standard_json(path: Path) -> None:
    RunLogWriter(path).append(Row(1, 0.0, 1, {"a": math.nan, "b": math.inf, "c": -math.inf}))
    line = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert line["metrics"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}
    (row,) = RunLogReader(path).read()
    assert isinstance(row, Row)
    assert math.isnan(row.metrics["a"])
    assert (row.metrics["b"], row.metrics["c"]) == (math.inf, -math.inf)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.floats(allow_nan=False), name=st.text())
def test_any_number_and_name_is_preserved(path: Path, value: float, name: str) -> None:
    path.unlink(missing_ok=True)
    RunLogWriter(path).append(Row(1, 0.5, 2, {name: value}))
    (row,) = RunLogReader(path).read()
    assert isinstance(row, Row)
    assert {key: number.hex() for key, number in row.metrics.items()} == {name: value.hex()}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff\xfe",
        b'{"steps":20,"pro',
        b"[]",
        b"3",
        b'{"phase":"training","steps":20,"progress":0.2,"time":2000}',
        b'{"phase":"training","steps":20,"progress":0.2,"time":2000,"metrics":{"a":"many"}}',
        b'{"end":"PAUSED","time":2000,"reason":"","complete":true}',
        b'{"end":"RUNNING","time":2000,"reason":"","complete":true}',
        b'{"phase":"warm-up","steps":20,"progress":0.2,"time":2000,"metrics":{}}',
    ],
)
def test_damaged_line_is_reported(path: Path, damaged: bytes) -> None:
    writer = RunLogWriter(path)
    writer.append(FIRST)
    reader = RunLogReader(path)
    reader.read()
    writer.append(SECOND)
    with path.open("ab") as file:
        file.write(damaged + b"\n")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 3: not a line of a run log"):
        reader.read()


def test_items_before_a_damaged_line_can_be_read(path: Path) -> None:
    writer = RunLogWriter(path)
    writer.append(FIRST)
    writer.append(SECOND)
    with path.open("ab") as file:
        file.write(b"damaged\n")
    writer.append(FIRST)
    reader = RunLogReader(path)
    assert reader.read_intact() == [FIRST, SECOND]
    assert reader.read_intact() == []
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 3: not a line of a run log"):
        reader.read()


def test_passwords_in_a_reason_are_masked(path: Path) -> None:
    RunLogWriter(path).end(RunState.FAILED, "no answer from http://me:s3cret@host")
    assert b"s3cret" not in path.read_bytes()


def test_run_logs_are_not_kept_open(tmp_path: Path) -> None:
    with open_files_limit(32):
        writers = [RunLogWriter(tmp_path / f"{run}.jsonl") for run in range(1_000)]
        for writer in writers:
            writer.append(FIRST)
        readers = [RunLogReader(tmp_path / f"{run}.jsonl") for run in range(1_000)]
        assert all(reader.read() == [FIRST] for reader in readers)


def test_idle_run_log_is_not_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most logs of a sweep are idle."""
    writer, reader, absent = RunLogWriter(path), RunLogReader(path), RunLogReader(path.with_name("absent.jsonl"))
    writer.append(FIRST)
    assert reader.read() == [FIRST]
    with monkeypatch.context() as patch:
        patch.delattr(Path, "open")
        assert reader.read() == absent.read() == []
    writer.append(SECOND)
    assert reader.read() == [SECOND]


def test_replaced_line_of_equal_length_is_read(path: Path) -> None:
    RunLogWriter(path).append(SECOND)
    line = path.read_bytes()
    path.write_bytes(b"x" * len(line))  # the writer was killed before the end of the line
    os.utime(path, ns=(1_000, 1_000))
    reader = RunLogReader(path)
    assert reader.read() == []
    RunLogWriter(path).append(SECOND)
    assert path.stat().st_size == len(line)
    assert reader.read() == [SECOND]
