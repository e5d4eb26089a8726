"""What an algorithm is to pgexp: how one run learns from one batch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pgexp.baselines.baseline import Baseline
from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.learning.failure import RunError
from pgexp.learning.observer import trainable
from pgexp.learning.policy import Policy
from pgexp.networks.parameters import Parameters


class DivergenceError(RunError):
    """A run's numbers are no longer finite; it can't go on."""

    final = True


@dataclass
class Traces:
    """What an algorithm remembers from batch to batch."""

    returns: Moments = field(default_factory=lambda: Moments.none(1))  # of past batches' returns-to-go
    gradient: Tensor | None = None  # the last update's, [P]
    clipped: int = 0  # the updates whose gradient was clipped
    updates: int = 0


@dataclass(frozen=True)
class Student:
    """What of a run an algorithm changes: its parameters, [1, ...], by its optimizer, its baseline and its traces."""

    policy: Policy
    parameters: Parameters
    optimizer: torch.optim.Optimizer
    baseline: Baseline
    traces: Traces = field(default_factory=Traces)

    @property
    def trainable(self) -> list[Tensor]:
        """The parameters that the optimizer steps on."""
        return list(trainable(self.parameters).values())


class Algorithm(ABC):
    """How one run learns from one batch. It holds settings, no state: a run's state is in its Student.

    A constructor may take what assembly hands in: `episodes`, the episodes of a batch, or None where it is of segments;
    and `diagnostics`, "full", "light" or "off": how much is told of each update.
    """

    @abstractmethod
    def objections(self, baseline: Baseline) -> Sequence[str]:
        """Return what contradicts itself in the settings with this baseline, a sentence each; nothing is the rule."""

    @abstractmethod
    def biases(self, baseline: Baseline) -> Sequence[str]:
        """Return the choices that make the gradient estimate biased, a few words each."""

    @property
    @abstractmethod
    def depends_on_progress(self) -> bool:
        """Whether its updates depend on the share of the budget that is spent, and so on the budget."""

    @abstractmethod
    def update(self, student: Student, batch: Batch, progress: float) -> dict[str, float]:
        """Learn from the batch as the policy sees it; return metrics by name. Raises DivergenceError.

        `progress` is the share of the run's budget that was spent before it, from 0 to 1.
        """
