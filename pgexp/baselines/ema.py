"""The exponential moving average of past batches."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Credit
from pgexp.schema import names
from pgexp.schema.types import Fraction


class ExponentialMovingAverage(Predictor):
    """``b = sum_i d^(n - i) m_i / sum_i d^(n - i)`` over the means m_i of the n past batches, and 0 before the first.

    m_i is over steps with reward-to-go, over episodes with the total return. This is the moving average whose start
    from 0 is corrected for, as Adam's moments are (Kingma & Ba 2015, sec. 3). With a decay of 0 it is the last batch's
    mean, with 1 the plain mean of all batches' means. Unbiased, since a batch is not in its own baseline; free.
    """

    biased = False
    remembered = ("_average", "_weight")

    def __init__(self, decay: Fraction) -> None:
        self._decay = decay
        self._average = 0.0
        self._weight = 0.0  # sum_i d^(n - i)

    def predict(self, batch: Batch) -> Prediction:
        """Return the average of the past everywhere."""
        return Prediction.constant(self._average, batch)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Move towards the batch's mean; return the average that it was valued with."""
        used = self._average
        mean = float(credit.sums.sum() / credit.counts.sum())
        self._weight = self._decay * self._weight + 1.0
        self._average += (mean - self._average) / self._weight
        return {names.BASELINE_VALUE: used}
