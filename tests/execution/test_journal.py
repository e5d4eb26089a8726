"""A run that goes on repeats what it had recorded, or says where it does not; its spool holds every row once."""

import math
import time
from pathlib import Path

import pytest

from pgexp.execution.journal import Journal, NotRepeatedError
from pgexp.storage.spool import End, Item, Resumed, Row, SpoolReader

RATE = "timing/steps_per_second"
TRAINED = {"train/return_mean": 1.5, "loss/policy": math.nan, RATE: 10.0}
EVALUATED = {"evaluation/return_mean": 3.0}
FINAL = {"final/return_mean": 4.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def items(folder: Path) -> list[Item]:
    return SpoolReader(folder / "rows.jsonl").read()


def rows(folder: Path) -> list[tuple[int, dict[str, float]]]:
    return [(item.steps, item.metrics) for item in items(folder) if isinstance(item, Row)]


def recorded(folder: Path) -> bytes:
    """Record three updates, an evaluation at the second; return the spool's bytes."""
    journal = Journal(folder)
    for steps in (10, 20, 30):
        journal.row(steps, steps / 100, {**TRAINED, "progress/updates": steps / 10})
        if steps == 20:
            journal.row(steps, 0.2, EVALUATED)
    return (folder / "rows.jsonl").read_bytes()


def test_repeated_rows_are_not_written_again_and_later_ones_are(folder: Path) -> None:
    before = recorded(folder)
    journal = Journal(folder)
    journal.row(20, 0.2, {**TRAINED, "progress/updates": 2.0})  # from a checkpoint at 10 steps
    journal.row(20, 0.2, EVALUATED)
    journal.row(30, 0.3, {**TRAINED, "progress/updates": 3.0})
    assert (folder / "rows.jsonl").read_bytes() == before
    journal.row(30, 0.3, FINAL)
    journal.row(40, 0.4, TRAINED)
    assert [steps for steps, _ in rows(folder)] == [10, 20, 20, 30, 30, 40]


def test_an_evaluation_that_was_still_waiting_comes_after_later_updates(folder: Path) -> None:
    recorded(folder)
    Journal(folder).row(10, 0.1, EVALUATED)
    assert rows(folder)[-1] == (10, EVALUATED)


def test_timings_may_differ_and_be_absent(folder: Path) -> None:
    Journal(folder).row(10, 0.1, TRAINED)
    Journal(folder).row(10, 0.1, {**TRAINED, RATE: 99.0})
    Journal(folder).row(10, 0.1, {name: value for name, value in TRAINED.items() if name != RATE})
    assert len(rows(folder)) == 1


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"train/return_mean": 1.5000000000000002}, "train/return_mean was recorded as 1.5 and is 1.5000000000000002"),
        ({"train/return_mean": math.nan}, "train/return_mean was recorded as 1.5 and is nan"),
        ({"loss/policy": 0.5}, "loss/policy was recorded as nan and is 0.5"),
        ({"policy/kl": 0.0}, "policy/kl was recorded as None and is 0.0"),
    ],
)
def test_a_row_that_differs_is_told_by_its_steps_its_metric_and_both_values(
    folder: Path, now: dict[str, float], told: str
) -> None:
    Journal(folder).row(1_000, 0.1, TRAINED)
    before = (folder / "rows.jsonl").read_bytes()
    with pytest.raises(NotRepeatedError) as difference:
        Journal(folder).row(1_000, 0.1, TRAINED | now)
    assert str(difference.value).startswith(f"at 1,000 steps {told} now: its code, its packages or its environment")
    assert (folder / "rows.jsonl").read_bytes() == before


def test_a_metric_that_is_no_longer_there_differs(folder: Path) -> None:
    Journal(folder).row(10, 0.1, TRAINED)
    with pytest.raises(NotRepeatedError, match="loss/policy was recorded as nan and is None now"):
        Journal(folder).row(10, 0.1, {"train/return_mean": 1.5})


def test_an_evaluation_is_not_held_against_the_update_at_the_same_steps(folder: Path) -> None:
    recorded(folder)
    with pytest.raises(NotRepeatedError, match=r"at 20 steps evaluation/return_mean was recorded as 3\.0 and"):
        Journal(folder).row(20, 0.2, {"evaluation/return_mean": 2.0})


def test_an_update_at_other_steps_than_those_recorded_differs(folder: Path) -> None:
    before = recorded(folder)
    with pytest.raises(NotRepeatedError, match="an update ended at 25 steps, where none of those recorded, up to 30,"):
        Journal(folder).row(25, 0.25, TRAINED)
    assert (folder / "rows.jsonl").read_bytes() == before


def test_times_do_not_go_back_with_the_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clock(milliseconds: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: milliseconds * 1_000_000)

    clock(5_000)
    journal = Journal(folder)
    journal.row(10, 0.1, TRAINED)
    clock(3_000)
    journal.row(20, 0.2, TRAINED)
    Journal(folder).row(30, 0.3, TRAINED)
    clock(6_000)
    journal.row(40, 0.4, TRAINED)
    assert [item.time for item in items(folder)] == [5_000, 5_000, 5_000, 6_000]


class TestGoingOn:
    def test_after_an_end_is_told(self, folder: Path) -> None:
        journal = Journal(folder)
        journal.row(10, 0.1, TRAINED)
        journal.end("KILLED", "interrupted")
        Journal(folder).row(20, 0.2, TRAINED)
        assert [type(item) for item in items(folder)] == [Row, End, Resumed, Row]

    def test_is_told_once_for_each_end(self, folder: Path) -> None:
        Journal(folder).end("KILLED")
        Journal(folder)
        Journal(folder)
        assert [type(item) for item in items(folder)] == [End, Resumed]

    def test_without_an_end_is_not(self, folder: Path) -> None:
        before = recorded(folder)
        Journal(folder)
        assert (folder / "rows.jsonl").read_bytes() == before

    def test_nothing_is_told_at_the_first_beginning(self, folder: Path) -> None:
        Journal(folder)
        assert items(folder) == []

    @pytest.mark.parametrize("lost", [1, 2, 20])
    def test_a_line_that_was_cut_is_written_again(self, folder: Path, lost: int) -> None:
        before = recorded(folder)
        (folder / "rows.jsonl").write_bytes(before[:-lost])
        Journal(folder).row(30, 0.3, {**TRAINED, "progress/updates": 3.0})
        found = rows(folder)
        assert [steps for steps, _ in found] == [10, 20, 20, 30]
        assert found[-1][1]["progress/updates"] == 3.0
