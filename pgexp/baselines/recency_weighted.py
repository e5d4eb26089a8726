"""The exponential recency-weighted average of returns, of a constant step size."""

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.returns import powers
from pgexp.schema import names
from pgexp.schema.types import Fraction


class RecencyWeightedAverage(Predictor):
    """``b = w``, which is 0 at first and moves by ``w <- w + step_size (G - w)`` for each credit G of a batch in turn.

    The exponential recency-weighted average (Sutton & Barto 2018, eq. 2.5); the one weight of their REINFORCE with
    baseline (sec. 13.4) where all states look alike. With reward-to-go it moves once a step, with the total return once
    an episode, in the order of the batch. Credit after credit it stays among those that it has seen, however long the
    episode, where one step along the summed gradient overshoots once ``step_size T > 2``. Unbiased, since a batch is
    not in its own baseline; free. It starts at 0, which is not corrected for, unlike ExponentialMovingAverage's.
    """

    biased = False
    remembered = ("_average",)

    def __init__(self, step_size: Fraction) -> None:
        self._step_size = step_size
        self._average = 0.0

    def predict(self, batch: Batch) -> Prediction:
        """Return the average of the past everywhere."""
        return Prediction.constant(self._average, batch)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Move towards each credit in turn; return the average that the batch was valued with."""
        used, targets = self._average, _in_turn(credit)
        kept = powers(1.0 - self._step_size, len(targets) + 1)  # the weight left of a target after so many more
        self._average = float(kept[-1] * used + self._step_size * (kept[-2::-1] * targets).sum())
        return {names.BASELINE_VALUE: used}


def _in_turn(credit: Credit) -> Floats:
    """Return one credit an episode where steps share their episode's, else one a step."""
    return credit.sums if credit.of_episodes else credit.of_steps
