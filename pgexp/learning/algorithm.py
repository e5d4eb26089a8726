"""What an algorithm is to pgexp: how one run learns from one batch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pgexp.baselines.baseline import Baseline
from pgexp.functional.batch import Batch
from pgexp.learning.policy import Policy
from pgexp.networks.parameters import Parameters


class DivergenceError(Exception):
    """A run's numbers are no longer finite; it can't go on."""


@dataclass(frozen=True)
class Student:
    """What of a run an algorithm changes: its parameters, [1, ...], by its optimizer, and its baseline."""

    policy: Policy
    parameters: Parameters
    optimizer: torch.optim.Optimizer
    baseline: Baseline


class Algorithm(ABC):
    """How one run learns from one batch. It holds settings, no state: a run's state is in its Student.

    A constructor may take `episodes`, handed in by assembly: the episodes of a batch, or None where it is of segments.
    """

    @abstractmethod
    def objections(self, baseline: Baseline) -> Sequence[str]:
        """Return what contradicts itself in the settings with this baseline, a sentence each; nothing is the rule."""

    @abstractmethod
    def biases(self, baseline: Baseline) -> Sequence[str]:
        """Return the choices that make the gradient estimate biased, a few words each."""

    @abstractmethod
    def update(self, student: Student, batch: Batch) -> dict[str, float]:
        """Learn from the batch; return metrics by name. Raises DivergenceError."""
