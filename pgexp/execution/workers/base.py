"""Interface of workers, which train the runs of a sweep. Each kind is one class and one YAML file in `conf/workers`.

Workers report through the run folders, which the command reads. A kind of workers defines how a task is handed over and
how its end is noticed.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from pgexp.execution.jobs import Task


class WorkersError(Exception):
    """Failure of workers that no run caused and that would happen again."""


@dataclass(frozen=True)
class TaskExit:
    """End of a task."""

    status: Literal["done", "stopped", "failed", "died"]
    """done: each run has ended, FINISHED or FAILED. stopped: on request, with checkpoints. failed: by an error that no
    run caused and that would happen again, such as a full disk. died: the worker was killed, or its machine is lost."""
    reason: str = ""


class TaskHandle(ABC):
    """A task that was handed to a worker."""

    @abstractmethod
    def poll(self) -> TaskExit | None:
        """Return at once how the task ended, or None if it waits or trains."""

    @abstractmethod
    def cancel(self) -> None:
        """End the task if it waits. A task in training ends by itself once the command has released its lease."""

    @abstractmethod
    def kill(self) -> None:
        """End the task at once, without a checkpoint."""


class Workers(ABC):
    """Workers that train one task each at a time."""

    min_steps: ClassVar[int] = 0
    """Training steps that a task should have at least: handing it over takes about as long as these."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of tasks that are trained at once."""

    @abstractmethod
    def start(self, task: Task) -> TaskHandle:
        """Hand a task over. It begins as soon as a worker is free. Raises WorkersError or UserError on failure."""

    def wait(self, seconds: float) -> None:
        """Wait for a number of seconds, or less if a task has ended."""
        time.sleep(seconds)

    @abstractmethod
    def close(self) -> None:
        """End the workers and their tasks."""
