"""Numbers made by hand, one of them changed: exactly that difference is told."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pgexp.execution.agreement import ParameterDifference, RowDifference, compare, read_numbers
from pgexp.storage.policy import write_policy
from pgexp.storage.spool import Row, SpoolWriter, Status
from pgexp.storage.tables import write_tables

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
    """Leaves a run's folder, as a run with these rows, policy and end would."""

    def left(
        rows: Rows = ROWS,
        policy: Mapping[str, np.ndarray] = POLICY,
        end: tuple[Status, bool] | None = ("FINISHED", True),
        reason: str = "",
        table: bool = True,
    ) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        spool = SpoolWriter(folder / "rows.jsonl")
        for steps, metrics in rows:
            spool.append(Row(steps, steps / 16, 0, dict(metrics)))
        if table:
            write_tables(folder)
        if end is not None:
            write_policy(folder / "policy", dict(policy), {})
            spool.end(end[0], reason, end[1])
        return folder

    return left


def changed(row: int, **metrics: float) -> Rows:
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return [(steps, {**values, **named} if number == row else values) for number, (steps, values) in enumerate(ROWS)]


def test_a_run_is_identical_to_itself(leave: Leave) -> None:
    agreement = compare(read_numbers(leave()), read_numbers(leave()))
    assert agreement.identical
    assert (agreement.rows, agreement.equal_rows) == (5, 5)
    assert (agreement.parameters, agreement.equal_parameters) == (2, 2)


def test_timings_are_no_part_of_it(leave: Leave) -> None:
    assert compare(read_numbers(leave()), read_numbers(leave(changed(0, timing__steps_per_second=9.0)))).identical


def test_evaluations_may_be_recorded_later_than_they_belong(leave: Leave) -> None:
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
    agreement = compare(read_numbers(leave()), read_numbers(leave(changed(row, **{metric: value}))))
    assert agreement.first is not None
    assert agreement.first == found
    assert math.copysign(1, agreement.first.now or 0.0) == math.copysign(1, found.now or 0.0)
    assert (agreement.rows, agreement.equal_rows, agreement.most) == (5, 4, None)
    assert not agreement.identical


def test_a_value_edited_in_the_recorded_table_is_found(leave: Leave) -> None:
    folder = leave()
    table = pq.read_table(folder / "metrics.parquet")
    edited = table.to_pydict() | {"train/return_mean": [1.0, None, 3.25, None, None]}
    pq.write_table(type(table).from_pydict(edited, schema=table.schema), folder / "metrics.parquet")
    agreement = compare(read_numbers(folder), read_numbers(leave()))
    assert agreement.first == RowDifference(16, "", "train/return_mean", 3.25, 3.0)
    assert (agreement.rows, agreement.equal_rows) == (5, 4)


def test_the_first_difference_is_the_earliest_and_all_are_counted(leave: Leave) -> None:
    now = [(steps, {name: value + 1 for name, value in metrics.items()}) for steps, metrics in ROWS[2:]]
    agreement = compare(read_numbers(leave()), read_numbers(leave([*ROWS[:2], *now])))
    assert agreement.first == RowDifference(16, "", "loss/policy", 0.0, 1.0)
    assert (agreement.rows, agreement.equal_rows) == (5, 2)


def test_not_a_number_is_found_again_as_such(leave: Leave) -> None:
    spoilt = changed(2, loss__policy=math.nan)
    assert compare(read_numbers(leave(spoilt)), read_numbers(leave(spoilt, table=False))).identical
    agreement = compare(read_numbers(leave(spoilt)), read_numbers(leave()))
    assert agreement.first is not None
    assert (agreement.first.metric, agreement.first.now) == ("loss/policy", 0.0)


def test_a_row_that_is_missing_or_new_is_a_difference(leave: Leave) -> None:
    less, more = leave(ROWS[:3] + ROWS[4:]), leave()
    missing = compare(read_numbers(more), read_numbers(less))
    assert missing.first is not None
    assert (missing.first.steps, missing.first.phase, missing.first.metric) == (16, "evaluation", None)
    assert missing.first.now is None
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
    agreement = compare(read_numbers(leave()), read_numbers(leave(policy=policy)))
    assert (agreement.parameters, agreement.equal_parameters, agreement.most) == (2, equal, most)
    assert agreement.first is None
    assert not agreement.identical


@pytest.mark.parametrize("end", [None, ("KILLED", False), ("FAILED", False)])
def test_a_run_that_was_stopped_is_compared_as_far_as_it_came(leave: Leave, end: tuple[Status, bool] | None) -> None:
    stopped = read_numbers(leave(ROWS[:1], {"w": POLICY["w"] - 1}, end, table=False))
    agreement = compare(stopped, read_numbers(leave()))
    assert agreement.identical
    assert (agreement.rows, agreement.equal_rows, agreement.parameters) == (1, 1, 0)
    assert not agreement.recorded.whole
    other = compare(stopped, read_numbers(leave(changed(0, loss__policy=1.0))))
    assert other.first == RowDifference(8, "", "loss/policy", -0.5, 1.0)


def test_a_table_that_a_resumed_run_has_outgrown_is_not_taken(leave: Leave) -> None:
    folder = leave(ROWS[:2], end=None)
    spool = SpoolWriter(folder / "rows.jsonl")
    for steps, metrics in ROWS[2:4]:
        spool.append(Row(steps, 1.0, 0, dict(metrics)))
    assert compare(read_numbers(folder), read_numbers(leave())).rows == 4


def test_a_divergence_is_compared_to_its_end(leave: Leave) -> None:
    nan = "the gradient's norm is nan"
    diverged = leave(ROWS[:2], end=("FAILED", True), reason=nan)
    assert compare(read_numbers(diverged), read_numbers(leave(ROWS[:2], end=("FAILED", True), reason=nan))).identical
    agreement = compare(read_numbers(diverged), read_numbers(leave()))
    assert (agreement.rows, agreement.equal_rows) == (5, 2)
    assert (agreement.recorded.reason, agreement.now.reason) == (nan, "")


def test_final_evaluations_before_an_extension_are_left_out(leave: Leave) -> None:
    extended = [*ROWS, (24, {"train/return_mean": 6.0}), (24, {"final/return_mean": 7.0})]
    at_once = [*ROWS[:4], *extended[5:]]
    agreement = compare(read_numbers(leave(extended)), read_numbers(leave(at_once)))
    assert agreement.identical
    assert (agreement.rows, agreement.budgets) == (6, 1)


def test_artifacts_alone_say_whether_the_run_came_to_its_end(leave: Leave) -> None:
    for rows, whole in ((ROWS, True), (ROWS[:4], False)):
        folder = leave(rows)
        (folder / "rows.jsonl").unlink()
        numbers = read_numbers(folder)
        assert (numbers.whole, len(numbers.rows)) == (whole, len(rows))


def test_a_damaged_file_is_named(leave: Leave) -> None:
    for name in ("metrics.parquet", "policy/policy.safetensors", "rows.jsonl"):
        folder = leave()
        (folder / name).write_bytes(b"nonsense\n")
        with pytest.raises(ValueError, match=name):
            read_numbers(folder)


def test_a_folder_without_rows_has_no_numbers(tmp_path: Path) -> None:
    assert read_numbers(tmp_path).rows == {}
