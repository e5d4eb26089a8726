"""Progress display of a command: a bar in a terminal, a line every ten seconds elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pgexp.runs.run_log import RunState
from pgexp.runs.status import SweepStatus
from pgexp.statistics.number_format import format_number

STATE_LABELS: Final[Mapping[RunState, str]] = {
    RunState.FINISHED: "done",
    RunState.RUNNING: "running",
    RunState.FAILED: "failed",
    RunState.KILLED: "stopped",
    RunState.PRUNED: "pruned",
    RunState.SCHEDULED: "waiting",
}
"""Display names of the run states, in the order in which they are shown."""

_LINE_SECONDS = 10.0  # between two lines outside a terminal
_SPEED_SECONDS = 120.0  # window for the estimate of the remaining time, because an update may take a minute
_RESERVED = 24  # columns for a short bar, the percentage and the remaining time


class ProgressDisplay:
    """Progress of a command's runs: share done, training steps per second, mean training return, remaining time."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._runs = runs
        self._noun = "run" if runs == 1 else f"{runs:,} runs"
        self._lines = not console.is_terminal
        self._next_line = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[details]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=self._lines,
            speed_estimate_period=_SPEED_SECONDS,
        )
        self._task = self._progress.add_task(f"training {self._noun}", total=1.0, details="")

    def __enter__(self) -> Self:
        """Start the display."""
        self._progress.start()
        self._next_line = time.monotonic() + _LINE_SECONDS
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar."""
        self._progress.stop()

    def show_training(self, done: float, steps_per_second: float, return_mean: float | None) -> None:
        """Show the runs that are done, with a fraction for the one in training, and its speed and mean return."""
        mean = "" if return_mean is None else f"  mean return {format_number(return_mean)}"
        self.show_stage(f"training {self._noun}", done / self._runs, f"{steps_per_second:,.0f} steps/s{mean}")

    def show_status(self, status: SweepStatus) -> None:
        """Show the status of the command's runs. Details that do not fit into the terminal's width are left out."""
        description = f"training {self._noun}"
        details = state_counts(status, waiting=False)
        if status.steps_per_second:
            details.append(f"{format_rate(status.steps_per_second)} steps/s")
        if status.return_mean is not None:
            details.append(f"mean return {format_number(status.return_mean)}")
        if self._lines and (left := status.seconds_left):
            details.append(f"{format_duration(left)} left")
        while not self._lines and details and len(description + "  ".join(details)) + _RESERVED > self._console.width:
            details.pop()
        share = status.share * len(status.runs) / self._runs  # more runs may follow
        self.show_stage(description, share, "  ".join(details))

    def show_stage(self, description: str, share: float, details: str = "") -> None:
        """Show a stage of the command, the share of it that is done, and details."""
        self._progress.update(self._task, description=description, completed=share, details=details)
        if self._lines and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self._console.print(f"{description}: {share:.0%}  {details}", highlight=False, markup=False, soft_wrap=True)


def state_counts(status: SweepStatus, waiting: bool = True) -> list[str]:
    """Return the number of runs per state with at least one run. waiting: whether waiting runs are included."""
    states = [state for state in STATE_LABELS if waiting or state != RunState.SCHEDULED]
    return [f"{count:,} {STATE_LABELS[state]}" for state in states if (count := status.count(state))]


def format_rate(rate: float) -> str:
    """Return a number of steps per second in few characters: 870, 9,300, 12 k, 1.2 M."""
    return f"{rate / 1e6:.1f} M" if rate >= 1e6 else f"{rate / 1e3:.0f} k" if rate >= 1e4 else f"{rate:,.0f}"


def format_duration(seconds: float) -> str:
    """Return a duration as minutes and seconds, or hours, minutes and seconds: 0:07, 2:31, 26:02:31."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
