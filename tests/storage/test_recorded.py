"""The sign that MLflow has all of a record: who leaves it, and when it no longer holds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record
from pgexp.storage.recorded import is_marked, mark
from pgexp.storage.spool import Row, SpoolWriter

ROW = Row(10, 0.1, 1000, {"train/return_mean": 1.0})


@pytest.fixture
def record(make_record: Callable[..., Record]) -> Record:
    return make_record()


def spool(record: Record, run: int) -> SpoolWriter:
    return SpoolWriter(record.folder_of(record.runs[run]) / "rows.jsonl")


def test_a_record_is_not_marked_before_it_is(record: Record) -> None:
    assert not is_marked(record)
    mark(record)
    assert is_marked(record)


def test_the_sign_holds_until_a_spool_grows(record: Record) -> None:
    spool(record, 0).append(ROW)
    mark(record)
    assert is_marked(record)
    spool(record, 1).append(ROW)
    assert not is_marked(record)
    mark(record)
    spool(record, 0).resumed()
    assert not is_marked(record)


def test_the_sign_holds_until_the_sweep_has_more_runs(make_record: Callable[..., Record]) -> None:
    mark(make_record(seeds=(0, 1)))
    assert not is_marked(make_record(seeds=(0, 1, 2)))


def test_where_it_can_t_be_written_nothing_is_said(record: Record) -> None:
    (record.folder / ".recorded").mkdir()
    mark(record)
    assert not is_marked(record)


def test_a_sink_leaves_it_once_all_runs_have_ended_in_the_store(make_record: Callable[..., Record], uri: str) -> None:
    record = make_record(uri, names="a")
    sink = MlflowSink(record)
    sink.open()
    for run in (0, 1):
        spool(record, run).append(ROW)
        spool(record, run).end("KILLED")
        assert not is_marked(record)
        list(sink.drain())
    assert is_marked(record)


def test_a_sink_leaves_it_where_what_has_not_ended_was_killed(make_record: Callable[..., Record], uri: str) -> None:
    record = make_record(uri, names="a")
    spool(record, 0).append(ROW)
    sink = MlflowSink(record)
    sink.open()
    list(sink.drain())
    assert not is_marked(record)
    list(sink.drain(kill=True))
    assert is_marked(record)


def test_a_record_that_is_copied_is_marked_as_it_was(record: Record, tmp_path: Path) -> None:
    spool(record, 0).append(ROW)
    mark(record)
    moved = Record(**vars(record) | {"folder": Path(shutil.copytree(record.folder, tmp_path / "moved"))})
    assert is_marked(moved)
