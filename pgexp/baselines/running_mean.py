"""The mean of all that went before."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Credit
from pgexp.schema import names


class RunningMean(Predictor):
    """``b = mean of the credits of all past batches``, and 0 before the first.

    With reward-to-go the mean over all their steps, with the total return over all their episodes (Sutton & Barto 2018,
    sec. 2.8, whose baseline is the average reward so far). Unbiased, since a batch is not in its own baseline; free.
    It never forgets, so it lags behind a policy that gets better.
    """

    biased = False
    remembered = ("_sum", "_count")

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def predict(self, batch: Batch) -> Prediction:
        """Return the mean of the past everywhere."""
        return Prediction.constant(self._mean, batch)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Count the batch in; return the mean that it was valued with."""
        used = self._mean
        self._sum += float(credit.sums.sum())
        self._count += int(credit.counts.sum())
        return {names.BASELINE_VALUE: used}

    @property
    def _mean(self) -> float:
        return self._sum / max(self._count, 1)
