"""How a record's runs stand, by spools that were written by hand."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgexp.storage import following
from pgexp.storage.following import Following, RunStanding, Standing
from pgexp.storage.record import Record
from pgexp.storage.spool import End, Row, SpoolWriter

NOW = 1_700_000_000  # seconds since the epoch
DONE = End("FINISHED", NOW * 1000, complete=True)


def train(steps: int, progress: float, value: float | None = 1.0, age: float = 1, rate: float = 100.0) -> Row:
    """Return a row of training, written some seconds ago, at an update of 10 steps."""
    metrics = {"timing/steps_per_second": rate, "progress/updates": steps / 10}
    returned = {} if value is None else {"train/return_mean": value}
    return Row(steps, progress, int((NOW - age) * 1000), returned | metrics)


class Runs:
    """The runs of a record, whose spools are written by hand, and whoever follows them."""

    def __init__(self, record: Record) -> None:
        self._paths = [record.folder_of(run) / "rows.jsonl" for run in record.runs]
        self._following = Following(record)

    def path(self, run: int) -> Path:
        return self._paths[run]

    def spool(self, run: int) -> SpoolWriter:
        return SpoolWriter(self._paths[run])

    def append(self, run: int, *rows: Row) -> None:
        for row in rows:
            self.spool(run).append(row)

    def look(self) -> Sequence[RunStanding]:
        return self._following.look().runs


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "time", SimpleNamespace(time=lambda: float(NOW)))


@pytest.fixture
def runs(make_record: Callable[..., Record]) -> Runs:
    """The runs of three configurations with a seed each."""
    return Runs(make_record(names="abc", seeds=(0,)))


def test_runs_that_have_no_row_wait(runs: Runs) -> None:
    assert runs.look() == [RunStanding("waiting")] * 3


def test_a_run_with_rows_and_no_end_is_running(runs: Runs) -> None:
    runs.append(1, train(10, 0.1, 3.5), train(20, 0.2, 4.5, rate=250.0))
    waiting, running, _ = runs.look()
    assert waiting.state == "waiting"
    assert running == RunStanding("running", 20, 0.2, 250.0, 4.5)


def test_ends_say_how_runs_ended(runs: Runs) -> None:
    for run, status in enumerate(("FINISHED", "FAILED", "KILLED")):
        runs.append(run, train(10, 0.1, 3.5))
        runs.spool(run).end(status, f"reason {run}", complete=status != "KILLED")
    finished, failed, killed = runs.look()
    assert (finished.state, failed.state, killed.state) == ("finished", "failed", "killed")
    assert (finished.is_over, failed.is_over, killed.is_over) == (True, True, False)
    assert failed.end is not None
    assert (failed.end.status, failed.end.reason) == ("FAILED", "reason 1")
    assert (failed.steps, failed.progress, failed.return_mean, failed.steps_per_second) == (10, 0.1, 3.5, None)


def test_a_final_score_is_that_of_the_final_evaluation(runs: Runs) -> None:
    evaluation = Row(10, 1.0, 5, {"evaluation/return_mean": 50.0})
    runs.append(0, train(20, 1.0, 30.0), evaluation, Row(20, 1.0, 5, {"final/return_mean": 40.0}))
    runs.spool(0).end("FINISHED", complete=True)
    assert runs.look()[0].score == 40.0
    assert (runs.look()[0].steps, runs.look()[0].return_mean) == (20, 30.0)


def test_what_was_seen_before_still_holds_where_new_rows_do_not_say_otherwise(runs: Runs) -> None:
    runs.append(0, train(20, 1.0, 30.0))
    runs.look()
    runs.append(0, Row(20, 1.0, 5, {"final/return_mean": 40.0}))
    assert runs.look()[0] == RunStanding("running", 20, 1.0, None, 30.0, 40.0)
    runs.spool(0).end("FINISHED", complete=True)
    assert (runs.look()[0].score, runs.look()[0].return_mean) == (40.0, 30.0)


def test_a_killed_run_that_is_resumed_runs_again(runs: Runs) -> None:
    runs.append(0, train(10, 0.1))
    runs.spool(0).end("KILLED")
    assert runs.look()[0].state == "killed"
    runs.spool(0).resumed()
    assert runs.look()[0] == RunStanding("running", 10, 0.1, 100.0, 1.0)
    runs.append(0, train(20, 0.2))
    assert runs.look()[0].steps == 20


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_no_number_is_none(runs: Runs, value: float) -> None:
    runs.append(0, train(10, 0.1, 5.0), train(20, 0.2, value), Row(20, 1.0, 5, {"final/return_mean": value}))
    assert (runs.look()[0].return_mean, runs.look()[0].score) == (None, None)


def test_a_batch_without_a_finished_episode_leaves_the_return_before(runs: Runs) -> None:
    runs.append(0, train(10, 0.1, 5.0), *(train(20 + n, 0.2, None) for n in range(200)))
    assert (runs.look()[0].steps, runs.look()[0].return_mean) == (219, 5.0)


def test_a_half_written_line_waits_for_its_other_half(runs: Runs) -> None:
    runs.append(0, train(10, 0.1), train(20, 0.2))
    whole = runs.path(0).read_bytes()
    runs.path(0).write_bytes(whole[:-5])
    assert runs.look()[0].steps == 10
    runs.path(0).write_bytes(whole)
    assert runs.look()[0].steps == 20


def test_the_beginning_of_the_first_line_is_no_row(runs: Runs) -> None:
    runs.append(0, train(10, 0.1))
    runs.path(0).write_bytes(runs.path(0).read_bytes()[:-1])
    assert runs.look()[0] == RunStanding("waiting")


def test_a_spool_that_has_not_grown_is_not_opened(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.append(0, train(10, 0.1))
    runs.append(1, train(10, 0.1))
    before = runs.look()
    runs.append(1, train(20, 0.2))
    opened, original = [], Path.open

    def opening(path: Path, *arguments: object) -> object:
        opened.append(path)
        return original(path, *arguments)

    monkeypatch.setattr(Path, "open", opening)
    after = runs.look()
    assert opened == [runs.path(1)]
    assert (after[0], after[1].steps) == (before[0], 20)


def test_a_spool_of_a_run_that_is_over_is_not_even_looked_at(runs: Runs) -> None:
    runs.append(0, train(10, 0.1))
    runs.spool(0).end("FINISHED", complete=True)
    before = runs.look()
    runs.path(0).unlink()
    runs.append(0, train(90, 0.9), train(91, 0.9), train(92, 0.9), train(93, 0.9))
    assert runs.look() == before


def test_a_spool_that_can_t_be_read_is_named(runs: Runs) -> None:
    runs.path(1).mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        runs.look()
    assert raised.value.filename == str(runs.path(1))


@pytest.mark.parametrize(
    ("age", "rate", "trains"),
    [
        (299.0, 100.0, True),
        (301.5, 100.0, False),  # an update of 10 steps takes .1 seconds, ten of them one
        (1_299.0, 0.1, True),  # here it takes 100 seconds
        (1_301.0, 0.1, False),
    ],
)
def test_a_run_without_a_row_for_long_does_not_train_now(runs: Runs, age: float, rate: float, trains: bool) -> None:
    runs.append(0, train(10, 0.1, age=age, rate=rate))
    assert runs.look()[0].steps_per_second == (rate if trains else None)


def test_time_passes_without_new_rows(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.append(0, train(10, 0.1))
    assert runs.look()[0].steps_per_second == 100.0
    monkeypatch.setattr(following, "time", SimpleNamespace(time=lambda: NOW + 400.0))
    assert runs.look()[0] == RunStanding("running", 10, 0.1, None, 1.0)


def test_a_run_that_waits_for_its_last_evaluation_does_not_train(runs: Runs) -> None:
    runs.append(0, train(110, 1.1))
    assert runs.look()[0] == RunStanding("running", 110, 1.0, None, 1.0)


RUNNING = RunStanding("running", 250, 0.25, 50.0, 8.0)  # of 1,000 steps: the other 750 take 15 seconds
WAITING = RunStanding("waiting")
FINISHED = RunStanding("finished", 1000, 1.0, None, 90.0, 100.0, DONE)
FAILED = RunStanding("failed", 100, 0.1, None, None, None, End("FAILED", 5, "why", complete=True))
KILLED = RunStanding("killed", 500, 0.5, None, 6.0, None, End("KILLED", 5))


def test_the_share_counts_what_is_left_to_spend() -> None:
    standing = Standing([RUNNING, WAITING, FINISHED, FAILED, KILLED])
    assert standing.share == pytest.approx((0.25 + 0 + 1 + 1 + 0.5) / 5)
    counts = [standing.count(state) for state in ("running", "waiting", "finished", "failed", "killed")]
    assert counts == [1, 1, 1, 1, 1]
    assert not standing.is_over
    assert Standing([FINISHED, FAILED]).is_over


def test_time_left_is_what_is_left_over_the_pace_of_all_that_train() -> None:
    faster = RunStanding("running", 500, 0.5, 150.0, 10.0)
    standing = Standing([RUNNING, faster, WAITING, WAITING, FINISHED])
    assert standing.steps_per_second == 200.0
    assert standing.seconds_left == pytest.approx((750 + 500 + 1000 + 1000) / 200)
    assert standing.return_mean == 9.0


def test_time_left_in_episodes_goes_by_the_progress() -> None:
    assert Standing([RunStanding("running", 4000, 0.2, 100.0)]).seconds_left == pytest.approx(160.0)  # 40 s for a fifth


def test_where_nothing_trains_time_left_is_not_known() -> None:
    standing = Standing([WAITING, KILLED, RunStanding("running", 10, 0.1)])
    assert (standing.seconds_left, standing.steps_per_second, standing.return_mean) == (None, 0.0, None)


def test_what_was_running_was_killed_where_nobody_trains() -> None:
    killed = RunStanding("killed", 250, 0.25, None, 8.0)
    assert Standing([RUNNING, WAITING, FINISHED, KILLED]).abandoned().runs == [killed, WAITING, FINISHED, KILLED]


KINDS = st.sampled_from(["returned", "unreturned", "nan", "evaluation", "final", "KILLED", "resumed"])


def write(path: Path, kind: str, number: int) -> None:
    writer = SpoolWriter(path)
    if kind == "KILLED":
        writer.end("KILLED", str(number))
    elif kind == "resumed":
        writer.resumed()
    else:
        writer.append(row(kind, number))


def row(kind: str, number: int) -> Row:
    if kind in ("evaluation", "final"):
        return Row(number, 0.5, NOW * 1000, {f"{kind}/return_mean": float(number)})
    value = {"returned": float(number), "nan": math.nan, "unreturned": None}[kind]
    return train(number, number / 1000, value)


def expected(kinds: Sequence[str]) -> RunStanding:
    """Return how a run stands after items of some kinds, taken one by one from the first."""
    state, steps, return_mean, score = "waiting", 0, None, None
    for number, kind in enumerate(kinds, 1):
        state = "killed" if kind == "KILLED" else "running"
        if kind in ("returned", "unreturned", "nan"):
            steps, score = number, None
            return_mean = {"returned": float(number), "nan": None, "unreturned": return_mean}[kind]
        if kind == "final":
            score = float(number)
    rate = 100.0 if state == "running" and steps else None
    return RunStanding(state, steps, steps / 1000, rate, return_mean, score)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(looks=st.lists(st.lists(KINDS, max_size=5), min_size=1, max_size=4))
def test_the_tail_tells_what_the_whole_spool_does(make_record: Callable[..., Record], looks: list[list[str]]) -> None:
    runs = Runs(make_record(names="a", seeds=(0,)))
    path = runs.path(0)
    path.unlink(missing_ok=True)
    kinds: list[str] = []
    for more in looks:
        for kind in more:
            kinds.append(kind)
            write(path, kind, len(kinds))
        standing = runs.look()[0]
        assert standing == RunStanding(**vars(expected(kinds)) | {"end": standing.end})
        assert (standing.end is not None) == (standing.state == "killed")
