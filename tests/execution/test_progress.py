"""Progress display: a bar in a terminal, lines elsewhere."""

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from pgexp.execution import progress
from pgexp.execution.progress import ProgressDisplay, format_duration, format_rate
from pgexp.runs.run_log import End, RunState
from pgexp.runs.status import RunStatus, SweepStatus


class Clock:
    """A clock that only tests advance."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock))
    return clock


def terminal(clock: Clock, width: int = 120) -> Console:
    return Console(file=StringIO(), force_terminal=True, color_system=None, width=width, get_time=clock)


def shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_a_bar_with_details(clock: Clock) -> None:
    console = terminal(clock)
    with ProgressDisplay(console, 4) as display:
        for seconds in (10, 20):
            clock.now = 1000 + seconds
            display.show_training(4 * seconds / 80, 12_345.6, 15.5)
    text = shown(console)
    assert "training 4 runs " in text
    assert "━" in text
    assert " 25% " in text  # 20 of 80 seconds
    assert " 12,346 steps/s  mean return 15.5 " in text
    assert " 01:00 left" in text  # at an eighth each ten seconds


def test_the_bar_is_removed_at_the_end(clock: Clock) -> None:
    console = terminal(clock)
    with ProgressDisplay(console, 1) as display:
        display.show_training(0.5, 1.0, None)
    assert shown(console).endswith("\x1b[2K")  # the terminal's code to erase a line


def test_a_single_run_without_a_return_yet(clock: Clock) -> None:
    console = terminal(clock)
    with ProgressDisplay(console, 1) as display:
        display.show_training(0.5, 100.0, None)
    assert "training run " in shown(console)
    assert " 100 steps/s" in shown(console)
    assert "mean return" not in shown(console)


def test_runs_share_the_bar(clock: Clock) -> None:
    console = terminal(clock)
    with ProgressDisplay(console, 4) as display:
        display.show_training(1.5, 1.0, None)
    assert " 38% " in shown(console)  # one and a half of four runs


def test_other_stages_are_shown(clock: Clock) -> None:
    console = terminal(clock)
    with ProgressDisplay(console, 2) as display:
        display.show_stage("recording in MLflow", 0.5, "1,200 rows")
    assert "recording in MLflow " in shown(console)
    assert " 1,200 rows " in shown(console)


def test_outside_a_terminal_a_line_every_ten_seconds(clock: Clock) -> None:
    console = Console(file=StringIO(), width=120)
    with ProgressDisplay(console, 2) as display:
        for seconds in range(0, 25, 4):  # shown at 12 and, ten seconds later, at 24
            clock.now = 1000 + seconds
            display.show_training(seconds / 24, 1000.0, float(seconds))
    assert shown(console).splitlines() == [
        "training 2 runs: 25%  1,000 steps/s  mean return 12.0",
        "training 2 runs: 50%  1,000 steps/s  mean return 24.0",
    ]


def test_a_line_of_a_large_sweep_fits_into_80_columns(clock: Clock) -> None:
    console = Console(file=StringIO(), width=80)
    with ProgressDisplay(console, 1000) as display:
        clock.now += 10
        display.show_training(1000, 12_345_678.0, -1234.5)
    assert shown(console) == "training 1,000 runs: 100%  12,345,678 steps/s  mean return -1,234.5\n"


FINISHED = RunStatus(RunState.FINISHED, 1000, 1.0, None, 90.0, 100.0, End(RunState.FINISHED, 1, complete=True))
FAILED = RunStatus(RunState.FAILED, 500, 0.5, None, 90.0, None, End(RunState.FAILED, 1, "why", complete=True))
RUNNING = RunStatus(RunState.RUNNING, 500, 0.5, 6_000.0, 187.0)  # of 1,000 steps
WAITING = RunStatus(RunState.SCHEDULED)
STANDING = SweepStatus([*[FINISHED] * 1000, *[FAILED] * 2, *[RUNNING] * 200, *[WAITING] * 798])  # 1,102 of 2,000: 55 %


def test_a_sweep_has_one_bar(clock: Clock) -> None:
    console = terminal(clock, 140)
    with ProgressDisplay(console, 2000) as display:
        display.show_status(SweepStatus([*[FINISHED] * 500, *[WAITING] * 1500]))
        clock.now += 100
        display.show_status(STANDING)
    text = shown(console)
    assert "training 2,000 runs " in text
    assert " 55% " in text
    assert " 1,000 done  200 running  2 failed  1.2 M steps/s  mean return 187.0 " in text
    assert " 02:30 left" in text  # 30 % took 100 seconds, and 45 % are left


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (100, "1,000 done  200 running  2 failed  1.2 M steps/s"),
        (80, "1,000 done  200 running  2 failed"),
        (60, "1,000 done"),
        (30, ""),
    ],
)
def test_a_narrow_terminal_shows_fewer_details(clock: Clock, width: int, expected: str) -> None:
    console = terminal(clock, width)
    with ProgressDisplay(console, 2000) as display:
        display.show_status(STANDING)
    text = shown(console)
    assert f"55% {expected}".rstrip() in text
    assert "mean return" not in text
    if expected:
        assert "left" in text
        assert "\u2026" not in text


def test_a_long_line_is_not_wrapped(clock: Clock) -> None:
    console = Console(file=StringIO(), width=40)
    with ProgressDisplay(console, 2000) as display:
        display.show_status(STANDING)
        clock.now += 10
        display.show_status(STANDING)
    assert shown(console) == (
        "training 2,000 runs: 55%  1,000 done  200 running  2 failed  1.2 M steps/s  mean return 187.0  0:01 left\n"
    )  # 898 budgets of 1,000 steps at 1.2 million a second


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.4, "0"), (870.2, "870"), (9_999.0, "9,999"), (12_345.0, "12 k"), (980_000.0, "980 k"), (1_240_000.0, "1.2 M")],
)
def test_format_rate(rate: float, expected: str) -> None:
    assert format_rate(rate) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "0:00"), (7, "0:07"), (59.6, "1:00"), (151, "2:31"), (3599, "59:59"), (93_751, "26:02:31")],
)
def test_format_duration(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected
