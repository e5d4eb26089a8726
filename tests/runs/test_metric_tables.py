import math
from pathlib import Path

import pyarrow as pa

from pgexp.runs.metric_tables import read_metrics, write_tables
from pgexp.runs.run_log import Row, RunLogWriter, RunState


def write_log(folder: Path, *rows: Row) -> Path:
    writer = RunLogWriter(folder / "rows.jsonl")
    for row in rows:
        writer.append(row)
    writer.end(RunState.FINISHED)
    return folder


def test_tables_have_one_line_per_row(tmp_path: Path) -> None:
    first = Row(10, 0.1, 1_000, {"b/x": 1.5, "timing/steps_per_second": 7.0})
    second = Row(20, 0.2, 2_000, {"b/x": math.nan, "a/y": math.inf})
    write_tables(write_log(tmp_path, first, second))

    metrics = read_metrics(tmp_path / "metrics.parquet")
    assert metrics.schema == pa.schema([("steps", pa.int64()), ("a/y", pa.float64()), ("b/x", pa.float64())])
    assert metrics.column("steps").to_pylist() == [10, 20]
    assert metrics.column("a/y").to_pylist() == [None, math.inf]
    assert metrics.column("b/x").to_pylist()[0] == 1.5
    assert math.isnan(metrics.column("b/x").to_pylist()[1])

    timings = read_metrics(tmp_path / "timings.parquet")
    assert timings.to_pydict() == {
        "steps": [10, 20],
        "time": [1_000, 2_000],
        "timing/steps_per_second": [7.0, None],
    }


def test_equal_runs_write_equal_metrics_files(tmp_path: Path) -> None:
    for day in (1, 2):
        metrics = {"train/return_mean": 1.0, "timing/steps_per_second": float(day)}
        write_tables(write_log(tmp_path / str(day), Row(10, 0.1, day, metrics)))
    tables = [tmp_path / day / "metrics.parquet" for day in "12"]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_run_without_rows_has_empty_tables(tmp_path: Path) -> None:
    write_tables(tmp_path)
    assert read_metrics(tmp_path / "metrics.parquet").to_pydict() == {"steps": []}
    assert read_metrics(tmp_path / "timings.parquet").to_pydict() == {"steps": [], "time": []}


def test_folder_named_like_an_override_adds_no_column(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "lr=3", Row(10, 0.1, 1, {"loss/policy": 2.0}))
    write_tables(folder)
    assert read_metrics(folder / "metrics.parquet").to_pydict() == {"steps": [10], "loss/policy": [2.0]}


def test_rows_are_sorted_by_steps(tmp_path: Path) -> None:
    rows = [Row(10, 0.1, 1, {"a/x": 1.0}), Row(20, 0.2, 2, {"a/x": 2.0}), Row(10, 0.1, 3, {"b/y": 3.0})]
    write_tables(write_log(tmp_path, *rows))
    expected = {"steps": [10, 10, 20], "a/x": [1.0, None, 2.0], "b/y": [None, 3.0, None]}
    assert read_metrics(tmp_path / "metrics.parquet").to_pydict() == expected
