"""The command's own process as its only worker."""

from collections.abc import Callable
from pathlib import Path
from typing import final

import torch

from pgexp.execution.orders import Order
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.work import train_run
from pgexp.execution.workers.workers import Assignment, Ended, Workers
from pgexp.learning.evaluator import Outcome


@final
class OwnProcess(Workers):
    """Trains each order in `start`, which returns when its runs have ended. It shows the progress meanwhile."""

    def __init__(self, display: ProgressDisplay, look: Callable[[], None]) -> None:
        """look: is called now and then during the training."""
        torch.set_num_threads(1)
        self._display, self._look = display, look
        self._done = 0
        self.outcomes: dict[Path, Outcome] = {}
        """The final evaluations, by the folders of the runs."""

    @property
    def count(self) -> int:
        """One."""
        return 1

    def start(self, order: Order) -> Assignment:
        """Train the order. Raises KeyboardInterrupt if it was interrupted."""
        for job in order.jobs:
            outcome = train_run(job, self._show)
            self._done += 1
            if outcome is not None:
                self.outcomes[job.folder] = outcome
        return _Done()

    def wait(self, seconds: float) -> None:
        """Do nothing: nothing trains between two orders."""

    def close(self) -> None:
        """Do nothing."""

    def _show(self, share: float, steps_per_second: float, return_mean: float | None) -> None:
        self._look()
        self._display.training(self._done + share, steps_per_second, return_mean)


class _Done(Assignment):
    def ended(self) -> Ended:
        """Return that it is done."""
        return Ended("done")

    def withdraw(self) -> None:
        """Do nothing."""

    def kill(self) -> None:
        """Do nothing."""
