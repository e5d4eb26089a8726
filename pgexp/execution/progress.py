"""Shows how far a command has come: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pgexp.statistics.digits import written

_SECONDS_BETWEEN_LINES = 10.0


class ProgressDisplay:
    """Progress of all runs of a command: share done, training steps a second, mean training return, time left."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._noun = "run" if runs == 1 else f"{runs} runs"
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

    def part(self, number: int, parts: int) -> Callable[[float, float, Sequence[float]], None]:
        """Return what shows the training of one of equal parts of the command.

        It takes the share of the part that is done, training steps a second, and the runs' latest mean returns.
        """

        def show(share: float, steps_per_second: float, returns: Sequence[float]) -> None:
            mean = f"  mean return {written(sum(returns) / len(returns))}" if returns else ""
            told = f"{steps_per_second:,.0f} steps/s{mean}"
            self.stage(f"training {self._noun}", (number + share) / parts, told)

        return show

    def stage(self, description: str, share: float, told: str = "") -> None:
        """Show a stage of the command: what it does, the share of it that is done, and what else there is to tell."""
        self._progress.update(self._task, description=description, completed=share, told=told)
        if self._lines and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._console.print(f"{description}: {share:.0%}  {told}", highlight=False)
