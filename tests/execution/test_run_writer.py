"""Run logs of resumed runs: each row is recorded once, and recomputed rows must be equal."""

import math
import time
from pathlib import Path

import pytest

from pgexp.execution.run_writer import ReplayMismatchError, RunWriter
from pgexp.runs.run_log import End, Item, Phase, Resumed, Row, RunLogReader, RunState

RATE = "timing/steps_per_second"
TRAINED = {"train/return_mean": 1.5, "loss/policy": math.nan, RATE: 10.0}
EVALUATED = {"evaluation/return_mean": 3.0}
FINAL = {"final/return_mean": 4.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def items(folder: Path) -> list[Item]:
    return RunLogReader(folder / "rows.jsonl").read()


def rows(folder: Path) -> list[tuple[int, dict[str, float]]]:
    return [(item.steps, item.metrics) for item in items(folder) if isinstance(item, Row)]


def recorded(folder: Path) -> bytes:
    """Record three updates and an evaluation after the second one; return the run log's bytes."""
    writer = RunWriter(folder)
    for steps in (10, 20, 30):
        writer.row(steps, steps / 100, {**TRAINED, "progress/updates": steps / 10})
        if steps == 20:
            writer.row(steps, 0.2, EVALUATED, Phase.EVALUATION)
    return (folder / "rows.jsonl").read_bytes()


def test_recomputed_rows_are_not_written_twice(folder: Path) -> None:
    before = recorded(folder)
    writer = RunWriter(folder)
    writer.row(20, 0.2, {**TRAINED, "progress/updates": 2.0})  # from a checkpoint at 10 steps
    writer.row(20, 0.2, EVALUATED, Phase.EVALUATION)
    writer.row(30, 0.3, {**TRAINED, "progress/updates": 3.0})
    assert (folder / "rows.jsonl").read_bytes() == before
    writer.row(30, 0.3, FINAL, Phase.FINAL)
    writer.row(40, 0.4, TRAINED)
    assert [steps for steps, _ in rows(folder)] == [10, 20, 20, 30, 30, 40]


def test_a_missing_evaluation_is_added_after_later_updates(folder: Path) -> None:
    recorded(folder)
    RunWriter(folder).row(10, 0.1, EVALUATED, Phase.EVALUATION)
    assert rows(folder)[-1] == (10, EVALUATED)


def test_timings_may_differ_and_be_absent(folder: Path) -> None:
    RunWriter(folder).row(10, 0.1, TRAINED)
    RunWriter(folder).row(10, 0.1, {**TRAINED, RATE: 99.0})
    RunWriter(folder).row(10, 0.1, {name: value for name, value in TRAINED.items() if name != RATE})
    assert len(rows(folder)) == 1


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({"train/return_mean": 1.5000000000000002}, "as 1.5 and is now 1.5000000000000002"),
        ({"train/return_mean": math.nan}, "as 1.5 and is now nan"),
        ({"loss/policy": 0.5}, "as nan and is now 0.5"),
        ({"policy/kl": 0.0}, "as None and is now 0.0"),
    ],
)
def test_a_mismatch_is_reported_with_both_values(folder: Path, now: dict[str, float], message: str) -> None:
    RunWriter(folder).row(1_000, 0.1, TRAINED)
    before = (folder / "rows.jsonl").read_bytes()
    with pytest.raises(ReplayMismatchError) as difference:
        RunWriter(folder).row(1_000, 0.1, TRAINED | now)
    assert f"{next(iter(now))} at 1,000 steps was recorded {message}: " in str(difference.value)
    assert (folder / "rows.jsonl").read_bytes() == before


def test_a_missing_metric_is_a_mismatch(folder: Path) -> None:
    RunWriter(folder).row(10, 0.1, TRAINED)
    with pytest.raises(ReplayMismatchError, match=r"loss/policy .* as nan and is now None"):
        RunWriter(folder).row(10, 0.1, {"train/return_mean": 1.5})


def test_an_evaluation_is_compared_with_an_evaluation(folder: Path) -> None:
    recorded(folder)
    with pytest.raises(ReplayMismatchError, match=r"^evaluation/return_mean at 20 steps was recorded as 3\.0"):
        RunWriter(folder).row(20, 0.2, {"evaluation/return_mean": 2.0}, Phase.EVALUATION)


def test_an_update_at_other_steps_is_a_mismatch(folder: Path) -> None:
    before = recorded(folder)
    with pytest.raises(ReplayMismatchError, match="an update ended at 25 steps"):
        RunWriter(folder).row(25, 0.25, TRAINED)
    assert (folder / "rows.jsonl").read_bytes() == before


def test_times_do_not_go_back_with_the_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clock(milliseconds: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: milliseconds * 1_000_000)

    clock(5_000)
    writer = RunWriter(folder)
    writer.row(10, 0.1, TRAINED)
    clock(3_000)
    writer.row(20, 0.2, TRAINED)
    RunWriter(folder).row(30, 0.3, TRAINED)
    clock(6_000)
    writer.row(40, 0.4, TRAINED)
    assert [item.time for item in items(folder)] == [5_000, 5_000, 5_000, 6_000]


class TestResuming:
    def test_after_an_end_it_is_recorded(self, folder: Path) -> None:
        writer = RunWriter(folder)
        writer.row(10, 0.1, TRAINED)
        writer.end(RunState.KILLED, "interrupted")
        RunWriter(folder).row(20, 0.2, TRAINED)
        assert [type(item) for item in items(folder)] == [Row, End, Resumed, Row]

    def test_it_is_recorded_once_per_end(self, folder: Path) -> None:
        RunWriter(folder).end(RunState.KILLED)
        RunWriter(folder)
        RunWriter(folder)
        assert [type(item) for item in items(folder)] == [End, Resumed]

    def test_without_an_end_nothing_is_recorded(self, folder: Path) -> None:
        before = recorded(folder)
        RunWriter(folder)
        assert (folder / "rows.jsonl").read_bytes() == before

    def test_a_new_run_log_is_empty(self, folder: Path) -> None:
        RunWriter(folder)
        assert items(folder) == []

    @pytest.mark.parametrize("lost", [1, 2, 20])
    def test_a_truncated_line_is_written_again(self, folder: Path, lost: int) -> None:
        before = recorded(folder)
        (folder / "rows.jsonl").write_bytes(before[:-lost])
        RunWriter(folder).row(30, 0.3, {**TRAINED, "progress/updates": 3.0})
        found = rows(folder)
        assert [steps for steps, _ in found] == [10, 20, 20, 30]
        assert found[-1][1]["progress/updates"] == 3.0
