"""What a baseline is to pgexp."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from pgexp.functional.arrays import Floats, Observations
from pgexp.functional.batch import Batch, Credit


class Baseline(ABC):
    """What is subtracted from each step's credit before it weighs the step's score.

    A batch is first valued, then learnt from, so that no step's baseline has seen its own return unless its formula
    says so. A constructor may take `inputs` (the observation's size), `seed` and `dtype`, handed in by assembly.
    """

    biased: ClassVar[bool]
    """Whether the gradient estimate is biased by it, discounting left aside."""

    least_episodes: ClassVar[Mapping[str, int]] = {"reward_to_go": 1, "total_return": 1}
    """The fewest episodes of a batch that its formula makes sense for, by what is credited."""

    @abstractmethod
    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the baseline of each step, [S]."""

    @abstractmethod
    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn from the batch, after it was valued; return metrics by name."""


class Predictor(ABC):
    """A baseline that can be evaluated at an observation whose return was not seen."""

    @abstractmethod
    def predict(self, observations: Observations) -> Floats:
        """Return the expected return-to-go from each of the observations, [n, O]; the result: [n]."""
