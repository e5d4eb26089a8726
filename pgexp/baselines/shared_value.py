"""Value output of the policy's network."""

import torch
from torch import Tensor

from pgexp.baselines.baseline import JointPredictor, Prediction, SharedValues
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.optimization import squared_error
from pgexp.schema.types import PositiveFloat


class SharedValue(JointPredictor):
    """``b(s) = v(s)``, one more output of the policy's network, fitted together with it (Mnih et al. 2016, A3C).

    The policy's loss gains ``coefficient * mean_t (v_t - G_t)^2``, so that one optimizer step fits both and both shape
    the shared layers. Unbiased, because the values are computed before the step. It costs one forward pass. With a
    recurrent network, v is a function of the memory.
    """

    biased = False

    def __init__(self, shared: SharedValues, coefficient: PositiveFloat) -> None:
        self._shared = shared
        self._coefficient = coefficient

    def predict(self, batch: Batch) -> Prediction:
        """Return the network's values."""
        return self._shared(batch)

    def loss(self, values: Tensor, returns: Returns) -> Tensor:
        """Return ``coefficient * mean_t (v_t - G_t)^2``, []. values: [S]."""
        return self._coefficient * squared_error(values, torch.from_numpy(returns.per_step).to(values.dtype))

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the policy's optimizer step has fitted the values."""
        return {}
