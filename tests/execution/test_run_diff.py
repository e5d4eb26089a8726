"""Differences of run folders that are written by hand and changed in one number."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pgexp.execution.run_diff import ParameterDifference, RowDifference, compare, read_numbers
from pgexp.runs.metric_tables import write_tables
from pgexp.runs.policy import write_policy
from pgexp.runs.run_log import Row, RunLogWriter, RunState

Rows = Sequence[tuple[int, Mapping[str, float]]]
Leave = Callable[..., Path]

ROWS: Rows = (
    (8, {"train/return_mean": 1.0, "loss/policy": -0.5, "timing/steps_per_second": 10.0}),
    (8, {"evaluation/return_mean": 2.0}),
    (16, {"train/return_mean": 3.0, "loss/policy": 0.0, "timing/steps_per_second": 11.0}),
    (16, {"evaluation/return_mean": 4.0}),
    (16, {"final/return_mean": 5.0}),
)
POLICY = {"w": np.array([[1, 2], [3, 4]], np.float32), "b": np.zeros(2, np.float32)}


@pytest.fixture
def leave(tmp_path: Path) -> Leave:
    """Return a function that writes a run's folder with these rows, policy and end."""

    def left(
        rows: Rows = ROWS,
        policy: Mapping[str, np.ndarray] = POLICY,
        end: tuple[RunState, bool] | None = ("FINISHED", True),
        reason: str = "",
        table: bool = True,
    ) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        log = RunLogWriter(folder / "rows.jsonl")
        for steps, metrics in rows:
            log.append(Row(steps, steps / 16, 0, dict(metrics)))
        if table:
            write_tables(folder)
        if end is not None:
            write_policy(folder / "policy", dict(policy), {})
            log.end(end[0], reason, end[1])
        return folder

    return left


def changed(row: int, **metrics: float) -> Rows:
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return [(steps, {**values, **named} if number == row else values) for number, (steps, values) in enumerate(ROWS)]


def test_a_run_is_identical_to_itself(leave: Leave) -> None:
    diff = compare(read_numbers(leave()), read_numbers(leave()))
    assert diff.identical
    assert (diff.rows, diff.equal_rows) == (5, 5)
    assert (diff.parameters, diff.equal_parameters) == (2, 2)


def test_timings_are_ignored(leave: Leave) -> None:
    assert compare(read_numbers(leave()), read_numbers(leave(changed(0, timing__steps_per_second=9.0)))).identical


def test_evaluations_may_be_recorded_late(leave: Leave) -> None:
    late = [ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]]
    for table in (True, False):
        assert compare(read_numbers(leave()), read_numbers(leave(late, table=table))).identical


@pytest.mark.parametrize(
    ("row", "metric", "value", "found"),
    [
        (0, "train__return_mean", math.nextafter(1, 2), RowDifference(8, "", "train/return_mean", 1, 1 + 2**-52)),
        (2, "loss__policy", -0.0, RowDifference(16, "", "loss/policy", 0.0, -0.0)),
        (3, "evaluation__return_mean", 4.5, RowDifference(16, "evaluation", "evaluation/return_mean", 4, 4.5)),
        (4, "final__return_std", 0.0, RowDifference(16, "final", "final/return_std", None, 0.0)),
        (1, "evaluation__return_mean", math.inf, RowDifference(8, "evaluation", "evaluation/return_mean", 2, math.inf)),
    ],
    ids=["the last bit", "the sign of zero", "an evaluation", "a metric that was absent", "infinity"],
)
def test_one_changed_value_is_the_difference(
    leave: Leave, row: int, metric: str, value: float, found: RowDifference
) -> None:
    diff = compare(read_numbers(leave()), read_numbers(leave(changed(row, **{metric: value}))))
    assert diff.first is not None
    assert diff.first == found
    assert math.copysign(1, diff.first.retrained or 0.0) == math.copysign(1, found.retrained or 0.0)
    assert (diff.rows, diff.equal_rows, diff.most) == (5, 4, None)
    assert not diff.identical


def test_a_value_edited_in_the_recorded_table_is_found(leave: Leave) -> None:
    folder = leave()
    table = pq.read_table(folder / "metrics.parquet")
    edited = table.to_pydict() | {"train/return_mean": [1.0, None, 3.25, None, None]}
    pq.write_table(type(table).from_pydict(edited, schema=table.schema), folder / "metrics.parquet")
    diff = compare(read_numbers(folder), read_numbers(leave()))
    assert diff.first == RowDifference(16, "", "train/return_mean", 3.25, 3.0)
    assert (diff.rows, diff.equal_rows) == (5, 4)


def test_the_first_of_several_differences(leave: Leave) -> None:
    now = [(steps, {name: value + 1 for name, value in metrics.items()}) for steps, metrics in ROWS[2:]]
    diff = compare(read_numbers(leave()), read_numbers(leave([*ROWS[:2], *now])))
    assert diff.first == RowDifference(16, "", "loss/policy", 0.0, 1.0)
    assert (diff.rows, diff.equal_rows) == (5, 2)


def test_nans_are_equal(leave: Leave) -> None:
    spoilt = changed(2, loss__policy=math.nan)
    assert compare(read_numbers(leave(spoilt)), read_numbers(leave(spoilt, table=False))).identical
    diff = compare(read_numbers(leave(spoilt)), read_numbers(leave()))
    assert diff.first is not None
    assert (diff.first.metric, diff.first.retrained) == ("loss/policy", 0.0)


def test_a_row_that_is_missing_or_new_is_a_difference(leave: Leave) -> None:
    less, more = leave(ROWS[:3] + ROWS[4:]), leave()
    missing = compare(read_numbers(more), read_numbers(less))
    assert missing.first is not None
    assert (missing.first.steps, missing.first.phase, missing.first.metric) == (16, "evaluation", None)
    assert missing.first.is_missing
    new = compare(read_numbers(less), read_numbers(more))
    assert new.first is not None
    assert (new.first.recorded, new.rows, new.equal_rows) == (None, 5, 4)


@pytest.mark.parametrize(
    ("policy", "equal", "most"),
    [
        (POLICY | {"w": np.array([[1, 2], [3, -3]], np.float32)}, 1, ParameterDifference("w", 1, 4, 7.0)),
        (POLICY | {"b": np.array([0, -0.0], np.float32)}, 1, ParameterDifference("b", 1, 2, 0.0)),
        ({"w": POLICY["w"] + 1, "b": POLICY["b"] - 2}, 0, ParameterDifference("b", 2, 2, 2.0)),
        ({"w": POLICY["w"]}, 1, ParameterDifference("b", 2, 2, math.inf)),
        (POLICY | {"b": np.zeros(3, np.float32)}, 1, ParameterDifference("b", 3, 3, math.inf)),
        (POLICY | {"b": np.zeros(2, np.float64)}, 1, ParameterDifference("b", 2, 2, math.inf)),
    ],
    ids=["one value", "the sign of zero", "the largest of two", "absent", "another shape", "another type"],
)
def test_a_changed_parameter_is_told(
    leave: Leave, policy: dict[str, np.ndarray], equal: int, most: ParameterDifference
) -> None:
    diff = compare(read_numbers(leave()), read_numbers(leave(policy=policy)))
    assert (diff.parameters, diff.equal_parameters, diff.most) == (2, equal, most)
    assert diff.first is None
    assert not diff.identical


@pytest.mark.parametrize("end", [None, ("KILLED", False), ("FAILED", False)])
def test_a_stopped_run_is_compared_up_to_its_last_row(leave: Leave, end: tuple[RunState, bool] | None) -> None:
    stopped = read_numbers(leave(ROWS[:1], {"w": POLICY["w"] - 1}, end, table=False))
    diff = compare(stopped, read_numbers(leave()))
    assert diff.identical
    assert (diff.rows, diff.equal_rows, diff.parameters) == (1, 1, 0)
    assert not diff.recorded.complete
    other = compare(stopped, read_numbers(leave(changed(0, loss__policy=1.0))))
    assert other.first == RowDifference(8, "", "loss/policy", -0.5, 1.0)


def test_a_table_with_fewer_rows_than_the_run_log_is_ignored(leave: Leave) -> None:
    folder = leave(ROWS[:2], end=None)
    log = RunLogWriter(folder / "rows.jsonl")
    for steps, metrics in ROWS[2:4]:
        log.append(Row(steps, 1.0, 0, dict(metrics)))
    assert compare(read_numbers(folder), read_numbers(leave())).rows == 4


def test_a_divergence_is_compared_to_its_end(leave: Leave) -> None:
    nan = "the gradient's norm is nan"
    diverged = leave(ROWS[:2], end=("FAILED", True), reason=nan)
    assert compare(read_numbers(diverged), read_numbers(leave(ROWS[:2], end=("FAILED", True), reason=nan))).identical
    diff = compare(read_numbers(diverged), read_numbers(leave()))
    assert (diff.rows, diff.equal_rows) == (5, 2)
    assert (diff.recorded.reason, diff.retrained.reason) == (nan, "")


def test_final_evaluations_before_an_extension_are_left_out(leave: Leave) -> None:
    extended = [*ROWS, (24, {"train/return_mean": 6.0}), (24, {"final/return_mean": 7.0})]
    at_once = [*ROWS[:4], *extended[5:]]
    diff = compare(read_numbers(leave(extended)), read_numbers(leave(at_once)))
    assert diff.identical
    assert (diff.rows, diff.skipped) == (6, 1)


def test_artifacts_without_a_run_log(leave: Leave) -> None:
    for rows, complete in ((ROWS, True), (ROWS[:4], False)):
        folder = leave(rows)
        (folder / "rows.jsonl").unlink()
        numbers = read_numbers(folder)
        assert (numbers.complete, len(numbers.rows)) == (complete, len(rows))


def test_a_damaged_file_is_named(leave: Leave) -> None:
    for name in ("metrics.parquet", "policy/policy.safetensors", "rows.jsonl"):
        folder = leave()
        (folder / name).write_bytes(b"nonsense\n")
        with pytest.raises(ValueError, match=name):
            read_numbers(folder)


def test_a_folder_without_rows_has_no_numbers(tmp_path: Path) -> None:
    assert read_numbers(tmp_path).rows == {}
