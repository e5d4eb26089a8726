"""Exponential moving average of past batches."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Returns
from pgexp.schema import names
from pgexp.schema.types import Fraction


class ExponentialMovingAverage(Predictor):
    """``b = sum_i d^(n - i) m_i / sum_i d^(n - i)`` over the means m_i of the n past batches; 0 before the first.

    m_i is over steps with reward-to-go, over episodes with the total return. The average's initial 0 is corrected for,
    as in Adam's moments (Kingma & Ba 2015, sec. 3). A decay of 0 gives the last batch's mean, a decay of 1 the plain
    mean of all batches' means. Unbiased, because a batch does not contribute to its own baseline; no cost.
    """

    biased = False
    state_attributes = ("_average", "_weight")

    def __init__(self, decay: Fraction) -> None:
        self._decay = decay
        self._average = 0.0
        self._weight = 0.0  # sum_i d^(n - i)

    def predict(self, batch: Batch) -> Prediction:
        """Return the average of past batches everywhere."""
        return Prediction.constant(self._average, batch)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Add the batch's mean to the average; return the average before."""
        used = self._average
        mean = float(returns.sums.sum() / returns.counts.sum())
        self._weight = self._decay * self._weight + 1.0
        self._average += (mean - self._average) / self._weight
        return {names.BASELINE_VALUE: used}
