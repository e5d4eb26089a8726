"""What workers are to the command that hands them packs. Each kind is one class and one YAML file, `conf/workers/`.

All that a worker has to say stands in the runs' folders, which the command reads as they grow: a pack's runs have an
end there, or they have not. What a kind of workers adds is how a pack is handed over, and how its end is noticed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from pgexp.execution.orders import Order


class WorkersError(Exception):
    """Workers can't go on, by what is no run's own failure and would come again."""


@dataclass(frozen=True)
class Ended:
    """How the work on a pack ended."""

    how: Literal["done", "stopped", "failed", "died"]
    """done: each of its runs has come to an end, well or not. stopped: as asked; it goes on from its checkpoints.
    failed: by an error that is none of its runs' (a full disk), and would come again. died: whoever worked on it is
    gone, without a word (a kill, a lost machine)."""
    reason: str = ""


class Assignment(ABC):
    """A pack that was handed over."""

    @abstractmethod
    def ended(self) -> Ended | None:
        """Return at once how the work on it ended, or None while it goes on, or waits for its turn."""

    @abstractmethod
    def withdraw(self) -> None:
        """End it at once if it waits for its turn; what has begun is left alone, and ends as it is dismissed."""

    @abstractmethod
    def kill(self) -> None:
        """End the work at once, without a checkpoint. To end it well: `commanding.dismiss`."""


class Workers(ABC):
    """Workers that train packs, each a pack at a time."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many packs are worked on at once."""

    @abstractmethod
    def start(self, order: Order) -> Assignment:
        """Hand a pack over; it begins as soon as a worker is free. Raises WorkersError where none can be had."""

    @abstractmethod
    def close(self) -> None:
        """Let the workers go; whatever still works ends."""
