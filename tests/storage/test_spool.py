import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgexp.storage.spool import End, Row, SpoolReader, SpoolWriter
from tests.limits import file_size_limit, open_files_limit

FIRST = Row(10, 0.1, 1_000, {"train/return_mean": -1.5, "timing/steps_per_second": 3e5})
SECOND = Row(20, 0.2, 2_000, {"policy/kl": 0.1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "rows.jsonl"


def test_rows_and_end_read_back_in_order(path: Path) -> None:
    writer = SpoolWriter(path)
    writer.append(FIRST)
    writer.append(SECOND)
    writer.end("FAILED", "a reason\nof two lines")
    *rows, end = SpoolReader(path).read()
    assert rows == [FIRST, SECOND]
    assert isinstance(end, End)
    assert (end.status, end.reason) == ("FAILED", "a reason\nof two lines")


def test_a_reader_returns_each_row_once_as_it_comes(path: Path) -> None:
    reader = SpoolReader(path)
    assert reader.read() == []
    writer = SpoolWriter(path)
    assert reader.read() == []
    writer.append(FIRST)
    assert reader.read() == [FIRST]
    assert reader.offset == path.stat().st_size
    writer.append(SECOND)
    assert reader.read() == [SECOND]
    assert reader.read() == []
    assert reader.offset == path.stat().st_size


@pytest.mark.parametrize("last", ["row", "end"])
def test_a_spool_cut_anywhere_in_its_last_line_keeps_all_earlier_rows(path: Path, last: str) -> None:
    writer = SpoolWriter(path)
    writer.append(FIRST)
    writer.append(SECOND)
    whole = path.stat().st_size
    if last == "row":
        writer.append(Row(30, 0.3, 3_000, {"loss/policy": 2.0}))
    else:
        writer.end("FINISHED")
    content = path.read_bytes()
    for size in range(whole, len(content)):
        path.write_bytes(content[:size])
        reader = SpoolReader(path)
        assert reader.read() == [FIRST, SECOND]
        assert reader.offset == whole
        with path.open("ab") as file:
            file.write(content[size:])
        assert len(reader.read()) == 1


def test_a_writer_goes_on_after_a_cut_line(path: Path) -> None:
    SpoolWriter(path).append(FIRST)
    with path.open("ab") as file:
        file.write(b'{"steps":20,"pro')
    reader = SpoolReader(path)
    assert reader.read() == [FIRST]
    SpoolWriter(path).append(SECOND)
    assert reader.read() == [SECOND]
    assert SpoolReader(path).read() == [FIRST, SECOND]


def test_a_writer_goes_on_after_a_full_disk(path: Path) -> None:
    writer = SpoolWriter(path)
    writer.append(FIRST)
    with file_size_limit(path.stat().st_size + 10), pytest.raises(OSError, match="No space left"):
        writer.append(SECOND)
    assert SpoolReader(path).read() == [FIRST]
    writer.append(SECOND)
    assert SpoolReader(path).read() == [FIRST, SECOND]


def test_what_is_not_finite_is_standard_json_and_reads_back(path: Path) -> None:
    SpoolWriter(path).append(Row(1, 0.0, 1, {"a": math.nan, "b": math.inf, "c": -math.inf}))
    line = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert line["metrics"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}
    (row,) = SpoolReader(path).read()
    assert isinstance(row, Row)
    assert math.isnan(row.metrics["a"])
    assert (row.metrics["b"], row.metrics["c"]) == (math.inf, -math.inf)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.floats(allow_nan=False), name=st.text())
def test_every_number_and_name_reads_back_to_the_bit(path: Path, value: float, name: str) -> None:
    path.unlink(missing_ok=True)
    SpoolWriter(path).append(Row(1, 0.5, 2, {name: value}))
    (row,) = SpoolReader(path).read()
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
        b'{"steps":20,"progress":0.2,"time":2000}',
        b'{"steps":20,"progress":0.2,"time":2000,"metrics":{"a":"many"}}',
        b'{"end":"PAUSED","time":2000,"reason":""}',
    ],
)
def test_a_damaged_line_is_named(path: Path, damaged: bytes) -> None:
    writer = SpoolWriter(path)
    writer.append(FIRST)
    reader = SpoolReader(path)
    reader.read()
    writer.append(SECOND)
    with path.open("ab") as file:
        file.write(damaged + b"\n")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 3: not a line of a spool"):
        reader.read()


def test_what_stands_before_a_damaged_line_is_read_by_who_asks_for_it(path: Path) -> None:
    writer = SpoolWriter(path)
    writer.append(FIRST)
    writer.append(SECOND)
    with path.open("ab") as file:
        file.write(b"damaged\n")
    writer.append(FIRST)
    reader = SpoolReader(path)
    assert reader.read_sound() == [FIRST, SECOND]
    assert reader.read_sound() == []
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 3: not a line of a spool"):
        reader.read()


def test_the_end_of_a_spool_of_an_older_version_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"end":"FINISHED","time":5,"reason":""}\n')
    assert SpoolReader(path).read() == [End("FINISHED", 5)]


def test_the_reason_of_an_end_is_kept_without_passwords(path: Path) -> None:
    SpoolWriter(path).end("FAILED", "no answer from http://me:s3cret@host")
    assert b"s3cret" not in path.read_bytes()


def test_a_thousand_spools_need_no_thousand_open_files(tmp_path: Path) -> None:
    with open_files_limit(32):
        writers = [SpoolWriter(tmp_path / f"{run}.jsonl") for run in range(1_000)]
        for writer in writers:
            writer.append(FIRST)
        readers = [SpoolReader(tmp_path / f"{run}.jsonl") for run in range(1_000)]
        assert all(reader.read() == [FIRST] for reader in readers)


def test_a_spool_that_has_not_grown_is_not_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a sweep's ten thousand, most wait or have ended."""
    writer, reader, absent = SpoolWriter(path), SpoolReader(path), SpoolReader(path.with_name("absent.jsonl"))
    writer.append(FIRST)
    assert reader.read() == [FIRST]
    with monkeypatch.context() as patch:
        patch.delattr(Path, "open")
        assert reader.read() == absent.read() == []
    writer.append(SECOND)
    assert reader.read() == [SECOND]


def test_a_line_that_takes_the_place_of_a_torn_one_of_its_length_is_read(path: Path) -> None:
    SpoolWriter(path).append(SECOND)
    line = path.read_bytes()
    path.write_bytes(b"x" * len(line))  # its writer was killed before the end of the line
    os.utime(path, ns=(1_000, 1_000))
    reader = SpoolReader(path)
    assert reader.read() == []
    SpoolWriter(path).append(SECOND)
    assert path.stat().st_size == len(line)
    assert reader.read() == [SECOND]
