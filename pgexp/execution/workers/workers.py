"""Interface of workers, which train runs for a command. Each kind is one class and one YAML file, `conf/workers/`.

Workers report through the folders of the runs, which the command reads. A kind of workers defines how runs are handed
over, and how the end of the work is noticed.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from pgexp.execution.orders import Order


class WorkersError(Exception):
    """Failure of workers that is not a run's own and would happen again."""


@dataclass(frozen=True)
class Ended:
    """How the work on an order ended."""

    how: Literal["done", "stopped", "failed", "died"]
    """done: each run has ended, well or not. stopped: as asked, with checkpoints. failed: by an error that is not a
    run's own and would happen again, as of a full disk. died: the worker ended without a word, by a kill or a lost
    machine."""
    reason: str = ""


class Assignment(ABC):
    """An order that was handed over."""

    @abstractmethod
    def ended(self) -> Ended | None:
        """Return at once how the work on it ended, or None if it waits or trains."""

    @abstractmethod
    def withdraw(self) -> None:
        """End it at once if it waits. What trains is left alone, and ends when `commanding.dismiss` is called."""

    @abstractmethod
    def kill(self) -> None:
        """End the work at once, without a checkpoint."""


class Workers(ABC):
    """Workers that train runs, each of them one order at a time."""

    least_steps: ClassVar[int] = 0
    """Training steps that an order should have at least, because handing it over takes about as long as these."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of orders that are worked on at once."""

    @abstractmethod
    def start(self, order: Order) -> Assignment:
        """Hand an order over; it begins as soon as a worker is free. Raises WorkersError if none can be had."""

    def wait(self, seconds: float) -> None:
        """Wait so many seconds, or less if an order has ended."""
        time.sleep(seconds)

    @abstractmethod
    def close(self) -> None:
        """End the workers, and whatever they still do."""
