"""Status of runs from their logs, and the order of configurations."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgexp.runs import status as status_module
from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_log import End, Phase, Row, RunLogWriter, RunState
from pgexp.runs.status import ConfigurationStatus, RunStatus, StatusReader, SweepStatus, leaderboard

NOW = 1_700_000_000  # seconds since the epoch
DONE = End(RunState.FINISHED, NOW * 1000, complete=True)


def train(steps: int, progress: float, value: float | None = 1.0, age: float = 1, rate: float = 100.0) -> Row:
    """Return a row of an update of 10 steps, written `age` seconds ago."""
    metrics = {"timing/steps_per_second": rate, "progress/updates": steps / 10}
    returned = {} if value is None else {"train/return_mean": value}
    return Row(steps, progress, int((NOW - age) * 1000), returned | metrics)


class Runs:
    """Runs of a manifest, writers of their logs, and a reader of their status."""

    def __init__(self, manifest: SweepManifest) -> None:
        self._paths = [manifest.folder_of(run) / "rows.jsonl" for run in manifest.runs]
        self._reader = StatusReader(manifest)

    def path(self, run: int) -> Path:
        return self._paths[run]

    def log(self, run: int) -> RunLogWriter:
        return RunLogWriter(self._paths[run])

    def append(self, run: int, *rows: Row) -> None:
        for row in rows:
            self.log(run).append(row)

    def read(self) -> Sequence[RunStatus]:
        return self._reader.read().runs


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "time", SimpleNamespace(time=lambda: float(NOW)))


@pytest.fixture
def runs(make_sweep: Callable[..., SweepManifest]) -> Runs:
    """Runs of three configurations with one seed each."""
    return Runs(make_sweep(names="abc", seeds=(0,)))


def test_run_without_rows_is_scheduled(runs: Runs) -> None:
    assert runs.read() == [RunStatus(RunState.SCHEDULED)] * 3


def test_run_with_rows_and_no_end_is_running(runs: Runs) -> None:
    runs.append(1, train(10, 0.1, 3.5), train(20, 0.2, 4.5, rate=250.0))
    scheduled, running, _ = runs.read()
    assert scheduled.state == RunState.SCHEDULED
    assert running == RunStatus(RunState.RUNNING, 20, 0.2, 250.0, 4.5)


def test_state_after_an_end(runs: Runs) -> None:
    for run, state in enumerate((RunState.FINISHED, RunState.FAILED, RunState.KILLED)):
        runs.append(run, train(10, 0.1, 3.5))
        runs.log(run).end(state, f"reason {run}", complete=state != RunState.KILLED)
    finished, failed, killed = runs.read()
    assert (finished.state, failed.state, killed.state) == (RunState.FINISHED, RunState.FAILED, RunState.KILLED)
    assert (finished.is_over, failed.is_over, killed.is_over) == (True, True, False)
    assert failed.end is not None
    assert (failed.end.status, failed.end.reason) == ("FAILED", "reason 1")
    assert (failed.steps, failed.progress, failed.return_mean, failed.steps_per_second) == (10, 0.1, 3.5, None)


def test_score_is_that_of_the_final_evaluation(runs: Runs) -> None:
    evaluation = Row(10, 1.0, 5, {"evaluation/return_mean": 50.0}, Phase.EVALUATION)
    runs.append(0, train(20, 1.0, 30.0), evaluation, Row(20, 1.0, 5, {"final/return_mean": 40.0}, Phase.FINAL))
    runs.log(0).end(RunState.FINISHED, complete=True)
    assert runs.read()[0].score == 40.0
    assert (runs.read()[0].steps, runs.read()[0].return_mean) == (20, 30.0)


def test_earlier_values_are_kept_without_newer_ones(runs: Runs) -> None:
    runs.append(0, train(20, 1.0, 30.0))
    runs.read()
    runs.append(0, Row(20, 1.0, 5, {"final/return_mean": 40.0}, Phase.FINAL))
    assert runs.read()[0] == RunStatus(RunState.RUNNING, 20, 1.0, None, 30.0, 40.0)
    runs.log(0).end(RunState.FINISHED, complete=True)
    assert (runs.read()[0].score, runs.read()[0].return_mean) == (40.0, 30.0)


def test_resumed_run_is_running(runs: Runs) -> None:
    runs.append(0, train(10, 0.1))
    runs.log(0).end(RunState.KILLED)
    assert runs.read()[0].state == RunState.KILLED
    runs.log(0).resumed()
    assert runs.read()[0] == RunStatus(RunState.RUNNING, 10, 0.1, 100.0, 1.0)
    runs.append(0, train(20, 0.2))
    assert runs.read()[0].steps == 20


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nonfinite_return_is_none(runs: Runs, value: float) -> None:
    runs.append(
        0, train(10, 0.1, 5.0), train(20, 0.2, value), Row(20, 1.0, 5, {"final/return_mean": value}, Phase.FINAL)
    )
    assert (runs.read()[0].return_mean, runs.read()[0].score) == (None, None)


def test_batch_without_an_episode_keeps_the_return(runs: Runs) -> None:
    runs.append(0, train(10, 0.1, 5.0), *(train(20 + n, 0.2, None) for n in range(200)))
    assert (runs.read()[0].steps, runs.read()[0].return_mean) == (219, 5.0)


def test_incomplete_line_is_read_later(runs: Runs) -> None:
    runs.append(0, train(10, 0.1), train(20, 0.2))
    whole = runs.path(0).read_bytes()
    runs.path(0).write_bytes(whole[:-5])
    assert runs.read()[0].steps == 10
    runs.path(0).write_bytes(whole)
    assert runs.read()[0].steps == 20


def test_incomplete_first_line_is_not_a_row(runs: Runs) -> None:
    runs.append(0, train(10, 0.1))
    runs.path(0).write_bytes(runs.path(0).read_bytes()[:-1])
    assert runs.read()[0] == RunStatus(RunState.SCHEDULED)


def test_idle_run_log_is_not_opened(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.append(0, train(10, 0.1))
    runs.append(1, train(10, 0.1))
    before = runs.read()
    runs.append(1, train(20, 0.2))
    opened, original = [], Path.open

    def opening(path: Path, *arguments: object) -> object:
        opened.append(path)
        return original(path, *arguments)

    monkeypatch.setattr(Path, "open", opening)
    after = runs.read()
    assert opened == [runs.path(1)]
    assert (after[0], after[1].steps) == (before[0], 20)


def test_run_log_of_a_complete_run_is_not_read(runs: Runs) -> None:
    runs.append(0, train(10, 0.1))
    runs.log(0).end(RunState.FINISHED, complete=True)
    before = runs.read()
    runs.path(0).unlink()
    runs.append(0, train(90, 0.9), train(91, 0.9), train(92, 0.9), train(93, 0.9))
    assert runs.read() == before


def test_unreadable_run_log_is_named(runs: Runs) -> None:
    runs.path(1).mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        runs.read()
    assert raised.value.filename == str(runs.path(1))


@pytest.mark.parametrize(
    ("age", "rate", "is_training"),
    [
        (299.0, 100.0, True),
        (301.5, 100.0, False),  # an update of 10 steps takes .1 seconds, ten take one
        (1_299.0, 0.1, True),  # an update takes 100 seconds
        (1_301.0, 0.1, False),
    ],
)
def test_run_without_recent_rows_is_not_training(runs: Runs, age: float, rate: float, is_training: bool) -> None:
    runs.append(0, train(10, 0.1, age=age, rate=rate))
    assert runs.read()[0].steps_per_second == (rate if is_training else None)


def test_speed_expires_without_new_rows(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.append(0, train(10, 0.1))
    assert runs.read()[0].steps_per_second == 100.0
    monkeypatch.setattr(status_module, "time", SimpleNamespace(time=lambda: NOW + 400.0))
    assert runs.read()[0] == RunStatus(RunState.RUNNING, 10, 0.1, None, 1.0)


def test_run_before_its_final_evaluation_is_not_training(runs: Runs) -> None:
    runs.append(0, train(110, 1.1))
    assert runs.read()[0] == RunStatus(RunState.RUNNING, 110, 1.0, None, 1.0)


RUNNING = RunStatus(RunState.RUNNING, 250, 0.25, 50.0, 8.0)  # of 1,000 steps: the remaining 750 take 15 seconds
SCHEDULED = RunStatus(RunState.SCHEDULED)
FINISHED = RunStatus(RunState.FINISHED, 1000, 1.0, None, 90.0, 100.0, DONE)
FAILED = RunStatus(RunState.FAILED, 100, 0.1, None, None, None, End(RunState.FAILED, 5, "why", complete=True))
KILLED = RunStatus(RunState.KILLED, 500, 0.5, None, 6.0, None, End(RunState.KILLED, 5))


def test_share_of_the_budgets() -> None:
    status = SweepStatus([RUNNING, SCHEDULED, FINISHED, FAILED, KILLED])
    assert status.share == pytest.approx((0.25 + 0 + 1 + 1 + 0.5) / 5)
    assert [status.count(state) for state in RunState] == [1, 1, 1, 1, 1, 0]
    assert not status.is_over
    assert SweepStatus([FINISHED, FAILED]).is_over


def test_remaining_time_is_work_over_speed() -> None:
    faster = RunStatus(RunState.RUNNING, 500, 0.5, 150.0, 10.0)
    status = SweepStatus([RUNNING, faster, SCHEDULED, SCHEDULED, FINISHED])
    assert status.steps_per_second == 200.0
    assert status.seconds_left == pytest.approx((750 + 500 + 1000 + 1000) / 200)
    assert status.return_mean == 9.0


def test_remaining_time_of_a_budget_in_episodes() -> None:
    assert SweepStatus([RunStatus(RunState.RUNNING, 4000, 0.2, 100.0)]).seconds_left == pytest.approx(
        160.0
    )  # 40 s for a fifth


def test_remaining_time_without_training_is_unknown() -> None:
    status = SweepStatus([SCHEDULED, KILLED, RunStatus(RunState.RUNNING, 10, 0.1)])
    assert (status.seconds_left, status.steps_per_second, status.return_mean) == (None, 0.0, None)


def test_abandoned_running_runs_are_killed() -> None:
    killed = RunStatus(RunState.KILLED, 250, 0.25, None, 8.0)
    assert SweepStatus([RUNNING, SCHEDULED, FINISHED, KILLED]).abandoned().runs == [killed, SCHEDULED, FINISHED, KILLED]


KINDS = st.sampled_from(["returned", "unreturned", "nan", "evaluation", "final", "KILLED", "resumed"])


def write(path: Path, kind: str, number: int) -> None:
    writer = RunLogWriter(path)
    if kind == "KILLED":
        writer.end(RunState.KILLED, str(number))
    elif kind == "resumed":
        writer.resumed()
    else:
        writer.append(row(kind, number))


def row(kind: str, number: int) -> Row:
    if kind in ("evaluation", "final"):
        return Row(number, 0.5, NOW * 1000, {f"{kind}/return_mean": float(number)}, Phase(kind))
    value = {"returned": float(number), "nan": math.nan, "unreturned": None}[kind]
    return train(number, number / 1000, value)


def expected(kinds: Sequence[str]) -> RunStatus:
    """Return the status after items of some kinds, computed from the first to the last."""
    state, steps, return_mean, score = RunState.SCHEDULED, 0, None, None
    for number, kind in enumerate(kinds, 1):
        state = RunState.KILLED if kind == "KILLED" else RunState.RUNNING
        if kind in ("returned", "unreturned", "nan"):
            steps, score = number, None
            return_mean = {"returned": float(number), "nan": None, "unreturned": return_mean}[kind]
        if kind == "final":
            score = float(number)
    rate = 100.0 if state == RunState.RUNNING and steps else None
    return RunStatus(state, steps, steps / 1000, rate, return_mean, score)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(reads=st.lists(st.lists(KINDS, max_size=5), min_size=1, max_size=4))
def test_status_equals_that_of_the_whole_run_log(
    make_sweep: Callable[..., SweepManifest], reads: list[list[str]]
) -> None:
    runs = Runs(make_sweep(names="a", seeds=(0,)))
    path = runs.path(0)
    path.unlink(missing_ok=True)
    kinds: list[str] = []
    for more in reads:
        for kind in more:
            kinds.append(kind)
            write(path, kind, len(kinds))
        status = runs.read()[0]
        assert status == RunStatus(**vars(expected(kinds)) | {"end": status.end})
        assert (status.end is not None) == (status.state == RunState.KILLED)


@pytest.fixture
def rank(make_sweep: Callable[..., SweepManifest]) -> Callable[..., Sequence[ConfigurationStatus]]:
    """Return a function that ranks configurations a, b, ... of two seeds: all first seeds, then all second ones."""

    def ranked(*runs: RunStatus) -> Sequence[ConfigurationStatus]:
        names = "abcdef"[: len(runs) // 2]
        manifest = make_sweep(names=names)  # a's two seeds, b's two, ...
        pairs = zip(runs[: len(names)], runs[len(names) :], strict=True)
        return leaderboard(manifest, SweepStatus([run for pair in pairs for run in pair]))

    return ranked


def finished(score: float | None) -> RunStatus:
    return RunStatus(RunState.FINISHED, 100, 1.0, None, 5.0, score)


def running(return_mean: float | None, state: RunState = RunState.RUNNING) -> RunStatus:
    return RunStatus(state, 10, 0.1, 50.0 if state == RunState.RUNNING else None, return_mean)


Rank = Callable[..., Sequence[ConfigurationStatus]]


def names(configurations: Sequence[ConfigurationStatus]) -> str:
    return "".join(each.name.removeprefix("lr=") for each in configurations)


def test_configurations_with_scores_are_first(rank: Rank) -> None:
    found = rank(finished(1.0), finished(9.0), running(99.0), finished(2.0), finished(-3.0), running(None))
    assert names(found) == "bac"  # b: 3, a: 1.5, c: 99 in training
    assert [each.score for each in found] == [3.0, 1.5, None]


def test_mean_is_over_finished_seeds(rank: Rank) -> None:
    first, second = rank(finished(4.0), finished(5.0), running(70.0), finished(3.0))
    assert (first.name, first.score, len(first.scores), first.return_mean) == ("lr=a", 4.0, 1, 70.0)
    assert (second.name, second.score, len(second.scores), second.return_mean) == ("lr=b", 4.0, 2, None)


def test_training_returns_rank_without_scores(rank: Rank) -> None:
    found = rank(running(1.0), running(-2.0), running(None), running(3.0), running(8.0), running(None))
    assert names(found) == "bac"  # b: 3 (-2 and 8), a: 2, c: none
    assert [each.return_mean for each in found] == [3.0, 2.0, None]


def test_stopped_runs_have_no_value(rank: Rank) -> None:
    failed = RunStatus(RunState.FAILED, 10, 0.1, None, 50.0, 60.0)
    assert names(rank(running(90.0, RunState.KILLED), running(1.0), failed, running(None, RunState.SCHEDULED))) == "ba"


def test_missing_score_is_ignored(rank: Rank) -> None:
    assert rank(finished(None), finished(2.0))[0].scores == [2.0]


def test_equal_configurations_keep_their_order(rank: Rank) -> None:
    scheduled = RunStatus(RunState.SCHEDULED)
    assert names(rank(*[scheduled] * 6)) == "abc"
    assert names(rank(finished(2.0), finished(2.0), scheduled, scheduled)) == "ab"
