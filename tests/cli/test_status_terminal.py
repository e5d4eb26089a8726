"""pgexp-status in a terminal: an updated table that fits its size."""

import re
import signal
from pathlib import Path

import pytest
from rich.console import Console

from pgexp.cli import status
from pgexp.cli.status import StatusSnapshot, render
from pgexp.runs.status import StatusReader
from tests.cli.lock_holder import holder
from tests.cli.pseudo_terminal import in_terminal
from tests.cli.status_sweeps import Sweep

MODULE = status.__name__
LETTERS = "abcdefghijklmnopqrst"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path / "first")


def test_watch_updates_the_table_until_training_ends(tmp_path: Path, sweep: Sweep) -> None:
    sweep.train("a0", 0.5, 10.0)
    with (
        holder(sweep.folder / ".lock") as command,
        in_terminal(tmp_path, MODULE, "first", "--watch", size=(24, 80)) as terminal,
    ):
        terminal.read_until("12%  1 running  3 waiting")
        sweep.train("b0", 0.5, 10.0)
        terminal.read_until("25%  2 running  2 waiting")
        for run in ("a0", "a1", "b0", "b1"):
            sweep.end(run, 5.0)
        terminal.read_until("100%  4 done")
        command.kill()
        assert terminal.read_to_end() == 0
    assert terminal.text.endswith("to compare them: pgexp-compare first\n")
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 1  # the cursor is restored


def test_ctrl_c_leaves_the_table_and_the_cursor(tmp_path: Path, sweep: Sweep) -> None:
    with (
        holder(sweep.folder / ".lock"),
        in_terminal(tmp_path, MODULE, "first", "--watch", size=(24, 80)) as terminal,
    ):
        terminal.read_until("lr=b")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.read_to_end() == 130
    assert terminal.raw.endswith("\x1b[?25h")
    assert "Traceback" not in terminal.text


def shown(sweep: Sweep, width: int, height: int | None) -> list[str]:
    """Return the lines of a sweep in a terminal. height: None for everything."""
    console = Console(width=width, height=height or 25, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(render(StatusSnapshot(sweep.record, StatusReader(sweep.record).read(), True), width, height))
    return captured.get().splitlines()


def large(folder: Path, varied: str = "lr") -> Sweep:
    """Return a sweep of twenty configurations with eight failures. The last one is the best."""
    sweep = Sweep(folder, LETTERS, varied=varied)
    for number, name in enumerate(LETTERS):
        sweep.end(f"{name}0", 100.0 + number)
        if number < 8:
            sweep.end(f"{name}1", status="FAILED", reason="out of air " * 50)
    return sweep


@pytest.mark.parametrize(
    ("varied", "height", "rows"),
    [("lr", 24, 8), ("lr", 30, 14), ("a name that is of two lines at this width, lr", 30, 7), ("lr", 10, 3)],
)
def test_table_fits_the_terminal(tmp_path: Path, varied: str, height: int, rows: int) -> None:
    lines = shown(large(tmp_path / "large", varied), 60, height)
    assert all(len(line) <= 60 for line in lines)
    assert len(lines) < max(height, 19)  # three configurations at least
    scores = [line.split()[-1] for line in lines if re.search(r" \d{3}\.0$", line)]
    assert scores == [f"{119 - row}.0" for row in range(rows)]
    assert f"and {20 - rows} more: --all" in lines
    assert sum(line.startswith("FAILED  ") for line in lines) == 5
    assert "and 3 more failures: --all" in lines


def test_all_shows_everything(tmp_path: Path) -> None:
    lines = shown(large(tmp_path / "large"), 60, None)
    assert sum(bool(re.search(r" \d{3}\.0$", line)) for line in lines) == 20
    assert sum(line.startswith("FAILED  ") for line in lines) == 8
    assert not any("--all" in line for line in lines)


def test_long_name_wraps_and_numbers_are_complete(tmp_path: Path) -> None:
    lines = shown(large(tmp_path / "large", "baseline=leave_one_out lr"), 54, None)
    (row,) = [number for number, line in enumerate(lines) if line.endswith(" 119.0")]
    assert lines[row].split() == ["baseline=leave_one_out", "1", "0", "1", "119.0"]
    assert lines[row + 1].split() == ["lr=t"]
