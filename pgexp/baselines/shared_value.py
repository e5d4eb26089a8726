"""The value output of the policy's own network."""

import torch
from torch import Tensor

from pgexp.baselines.baseline import JointPredictor, Prediction, SharedValues
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.surrogate import squared_error
from pgexp.schema.types import PositiveFloat


class SharedValue(JointPredictor):
    """``b(s) = v(s)``, a further output of the policy's network, fitted along with it (Mnih et al. 2016, A3C).

    The policy's loss gains ``coefficient * mean_t (v_t - G_t)^2``, so that one step of one optimizer serves both, and
    what they share is shaped by both. Unbiased, since a batch is valued before the step. It costs a pass forwards.
    With a recurrent network it is the value of what is remembered.
    """

    biased = False

    def __init__(self, shared: SharedValues, coefficient: PositiveFloat) -> None:
        self._shared = shared
        self._coefficient = coefficient

    def predict(self, batch: Batch) -> Prediction:
        """Return the network's values."""
        return self._shared(batch)

    def loss(self, values: Tensor, credit: Credit) -> Tensor:
        """Return ``coefficient * mean_t (v_t - G_t)^2``."""
        return self._coefficient * squared_error(values, torch.from_numpy(credit.of_steps).to(values.dtype))

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing further: the policy's step has fitted it."""
        return {}
