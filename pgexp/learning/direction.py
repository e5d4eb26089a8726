"""What a gradient is turned into before the optimizer steps along it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.learning.algorithm import Student


class Direction(ABC):
    """Turns the loss's gradient into another direction of descent."""

    @abstractmethod
    def __call__(
        self, student: Student, batch: Batch, weights: Floats, gradients: Sequence[Tensor]
    ) -> tuple[list[Tensor], dict[str, float]]:
        """Return the direction, and metrics by name.

        weights: [S], what each step counts for in the loss; gradients, and the direction: as the trainable parameters.
        """
