"""Mean of all past batches."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Returns
from pgexp.schema import names


class RunningMean(Predictor):
    """``b = mean of the returns of all past batches``; 0 before the first.

    With reward-to-go the mean over all their steps, with the total return over all their episodes (Sutton & Barto 2018,
    sec. 2.8, whose baseline is the average reward so far). Unbiased, because a batch does not contribute to its own
    baseline; no cost. It weights all batches equally, so it lags behind an improving policy.
    """

    biased = False
    state_attributes = ("_sum", "_count")

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def predict(self, batch: Batch) -> Prediction:
        """Return the mean of past batches everywhere."""
        return Prediction.constant(self._mean, batch)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Add the batch's returns to the mean; return the mean before."""
        used = self._mean
        self._sum += float(returns.sums.sum())
        self._count += int(returns.counts.sum())
        return {names.BASELINE_VALUE: used}

    @property
    def _mean(self) -> float:
        return self._sum / max(self._count, 1)
