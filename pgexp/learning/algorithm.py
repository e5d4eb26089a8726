"""Interface of algorithms: how a run learns from a batch."""

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
    """A number of the run is not finite, so it cannot continue."""

    final = True


@dataclass
class Traces:
    """State of an algorithm from batch to batch."""

    returns: Moments = field(default_factory=lambda: Moments.none(1))  # of past batches' returns-to-go
    gradient: Tensor | None = None  # the last update's, [P]
    clipped: int = 0  # the updates whose gradient was clipped
    updates: int = 0


@dataclass(frozen=True)
class Student:
    """The parts of a run that an algorithm changes."""

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
    """How a run learns from a batch. It holds settings, no state: a run's state is in its Student.

    A constructor may take what assembly passes: `episodes`, the episodes per batch, or None for segments; and
    `diagnostics`, "full", "light" or "off": how many metrics each update records.
    """

    @abstractmethod
    def objections(self, baseline: Baseline) -> Sequence[str]:
        """Return a sentence per contradiction between the settings and this baseline; usually none."""

    @abstractmethod
    def biases(self, baseline: Baseline) -> Sequence[str]:
        """Return the choices that bias the gradient estimate, a few words each."""

    @property
    @abstractmethod
    def depends_on_progress(self) -> bool:
        """Whether its updates depend on the share of the budget that is spent."""

    @abstractmethod
    def update(self, student: Student, batch: Batch, progress: float) -> dict[str, float]:
        """Learn from the batch as the observer sees it; return metrics by name. Raises DivergenceError.

        `progress` is the share of the run's budget that was spent before it, from 0 to 1.
        """
