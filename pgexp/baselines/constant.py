"""Constant baseline."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Returns


class Constant(Predictor):
    """``b = value`` at every step (Williams 1992, theorem 1: any b that does not depend on the action).

    Unbiased for any value; no cost. A value near the returns can remove much of the variance. Any value adds
    ``E|S|^2 (b - b*)^2`` to the smallest possible variance, with S and b* as in OptimalConstant.
    """

    biased = False

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, batch: Batch) -> Prediction:
        """Return the constant everywhere."""
        return Prediction.constant(self._value, batch)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing."""
        return {}
