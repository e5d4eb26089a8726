"""Interface of algorithms, and the state of a run that they change."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pgexp.algorithms.collector import Collector
from pgexp.algorithms.policy import Policy, trainable
from pgexp.baselines.baseline import Baseline
from pgexp.functional.batch import Batch
from pgexp.functional.normalization import Moments
from pgexp.networks.network import Parameters


@dataclass
class AlgorithmState:
    """State of an algorithm between updates."""

    return_moments: Moments = field(default_factory=lambda: Moments.empty(1))  # of past batches' returns-to-go
    last_gradient: Tensor | None = None  # [P]
    clipped_updates: int = 0
    updates: int = 0


@dataclass(frozen=True)
class TrainState:
    """The parts of a run that an algorithm changes."""

    policy: Policy
    parameters: Parameters
    optimizer: torch.optim.Optimizer
    baseline: Baseline
    algorithm_state: AlgorithmState = field(default_factory=AlgorithmState)

    @property
    def trainable(self) -> list[Tensor]:
        """The parameters that the optimizer changes."""
        return list(trainable(self.parameters).values())


class Algorithm(ABC):
    """A rule that learns from batches. It has settings and no state: the state of a run is in its TrainState.

    A constructor may take arguments that pgexp passes: `episodes`, the number of episodes per batch, or None for
    segments; and `diagnostics`, "full", "light" or "off", the metrics that each update records.
    """

    @abstractmethod
    def config_conflicts(self, baseline: Baseline) -> Sequence[str]:
        """Return one message per conflict between the settings and this baseline; each begins with a config key."""

    @abstractmethod
    def bias_sources(self, baseline: Baseline) -> Sequence[str]:
        """Return the settings that bias the gradient estimate, a few words each."""

    @property
    @abstractmethod
    def depends_on_progress(self) -> bool:
        """Whether its updates depend on the spent share of the budget."""

    @abstractmethod
    def update(self, state: TrainState, collector: Collector, progress: float) -> tuple[Batch, dict[str, float]]:
        """Collect a batch and learn from it; return the collected batch and metrics by name.

        The collected batch has raw observations; `state.policy.normalizer.normalize_batch` returns the network's
        inputs.

        Args:
            state: of the run; its parts are changed in place.
            collector: returns batches of the current policy.
            progress: the spent share of the run's budget before the update, 0 to 1.

        Raises DivergenceError if a number is not finite, and any exception of the environment.
        """
