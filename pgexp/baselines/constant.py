"""A constant."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Credit


class Constant(Predictor):
    """``b = value`` at every step (Williams 1992, theorem 1: any b that does not depend on the action).

    Unbiased, whatever the value; free. A value known beforehand, such as the return of a policy to be beaten, can take
    away much of the variance; a bad one adds ``E|S|^2 (b - b*)^2`` to it, S and b* as OptimalConstant has them.
    """

    biased = False

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, batch: Batch) -> Prediction:
        """Return the constant everywhere."""
        return Prediction.constant(self._value, batch)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing."""
        return {}
