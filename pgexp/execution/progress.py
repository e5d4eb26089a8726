"""Shows how far a command has come: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pgexp.statistics.digits import written
from pgexp.storage.following import RunState, Standing

WORDS: Final[Mapping[RunState, str]] = {
    "finished": "done",
    "running": "running",
    "failed": "failed",
    "killed": "stopped",
    "pruned": "pruned",
    "waiting": "waiting",
}
"""What each state is called before people."""

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_OF_SPEED = 120.0  # by which the time left is told; an update may take a minute
_REST = 24  # columns beside the description and what is told: a stump of the bar, the share, the time left


class ProgressDisplay:
    """Progress of all runs of a command: share done, training steps a second, mean training return, time left."""

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
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=self._lines,
            speed_estimate_period=_SECONDS_OF_SPEED,
        )
        self._task = self._progress.add_task(f"training {self._noun}", total=1.0, told="")

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar."""
        self._progress.stop()

    def training(self, done: float, steps_per_second: float, return_mean: float | None) -> None:
        """Show how many runs are done, with a fraction for the one that trains, its speed and its mean return."""
        mean = "" if return_mean is None else f"  mean return {written(return_mean)}"
        self.stage(f"training {self._noun}", done / self._runs, f"{steps_per_second:,.0f} steps/s{mean}")

    def standing(self, standing: Standing) -> None:
        """Show how the runs of the command stand."""
        description = f"training {self._noun}"
        told = [*counted(standing, waiting=False), *_pace(standing)]
        if self._lines and (left := standing.seconds_left):
            told.append(f"{duration(left)} left")
        while not self._lines and told and len(description + "  ".join(told)) + _REST > self._console.width:
            told.pop()  # the bar would be cut anywhere, and the time left lost
        share = standing.share * len(standing.runs) / self._runs  # more runs may follow
        self.stage(description, share, "  ".join(told))

    def stage(self, description: str, share: float, told: str = "") -> None:
        """Show a stage of the command: what it does, the share of it that is done, and what else there is to tell."""
        self._progress.update(self._task, description=description, completed=share, told=told)
        if self._lines and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._console.print(f"{description}: {share:.0%}  {told}", highlight=False, markup=False, soft_wrap=True)


def counted(standing: Standing, waiting: bool = True) -> list[str]:
    """Return how many runs are in each state that any is in, those that wait where that is wanted."""
    states = [state for state in WORDS if waiting or state != "waiting"]
    return [f"{count:,} {WORDS[state]}" for state in states if (count := standing.count(state))]


def _pace(standing: Standing) -> Sequence[str]:
    """Return how fast runs train, and to what mean return they have come, as far as there is anything to tell."""
    rate, return_mean = standing.steps_per_second, standing.return_mean
    told = [f"{short(rate)} steps/s"] if rate else []
    return told if return_mean is None else [*told, f"mean return {written(return_mean)}"]


def short(rate: float) -> str:
    """Return a number of steps a second in as many letters as it takes: 870, 9,300, 12 k, 1.2 M."""
    return f"{rate / 1e6:.1f} M" if rate >= 1e6 else f"{rate / 1e3:.0f} k" if rate >= 1e4 else f"{rate:,.0f}"


def duration(seconds: float) -> str:
    """Return a time as it is read from a clock: 0:07, 2:31, 26:02:31."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
