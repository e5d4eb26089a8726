"""Exponential recency-weighted average of returns with a constant step size."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.returns import powers
from pgexp.schema import names
from pgexp.schema.types import Fraction


class RecencyWeightedAverage(Predictor):
    """``b = w`` with ``w <- w + step_size (G - w)`` for each return G of a batch in turn; w is 0 at first.

    The exponential recency-weighted average (Sutton & Barto 2018, eq. 2.5); the single weight of their REINFORCE with
    baseline (sec. 13.4) if all states look alike. With reward-to-go it is updated once per step, with the total return
    once per episode, in the order of the batch. Updated in turn, w stays within the range of the returns, whereas one
    step along the summed gradient overshoots if ``step_size T > 2``. Unbiased, because a batch does not contribute to
    its own baseline; no cost. Its initial 0 is not corrected for, unlike ExponentialMovingAverage's.
    """

    biased = False
    state_attributes = ("_average",)

    def __init__(self, step_size: Fraction) -> None:
        self._step_size = step_size
        self._average = 0.0

    def predict(self, batch: Batch) -> Prediction:
        """Return the average of past returns everywhere."""
        return Prediction.constant(self._average, batch)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Move towards each return in turn; return the average before."""
        used = self._average
        targets = returns.sums if returns.per_episode else returns.per_step
        weights = powers(1.0 - self._step_size, len(targets) + 1)  # a target's weight after this number of later ones
        self._average = float(weights[-1] * used + self._step_size * (weights[-2::-1] * targets).sum())
        return {names.BASELINE_VALUE: used}
