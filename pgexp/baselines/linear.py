"""The linear feature baseline."""

import numpy as np

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.arrays import Floats, Ints, Observations
from pgexp.functional.batch import Batch, Credit
from pgexp.schema import names
from pgexp.schema.types import PositiveFloat

_CLIP = 10.0
_UNIT = 100.0  # steps
_OF_TIME = 4
_LARGEST = 1_000  # features; the decomposition's time grows with their cube, and here is some seconds


class LinearFeatures(Predictor):
    """``b(o, t) = w . [o, o^2, t/100, (t/100)^2, (t/100)^3, 1]``, o cut to within +-10: rllab's (Duan et al. 2016).

    w minimises ``sum_t (w . x_t - G_t)^2 + ridge |w|^2`` over the last batch, after that was used; it is 0 before the
    first. Unbiased, since a batch is valued before it is fitted. The fit costs S F^2 operations for F = 2 O + 4
    features.
    """

    biased = False
    remembered = ("_coefficients",)

    def __init__(self, inputs: int, ridge: PositiveFloat) -> None:
        features = 2 * inputs + _OF_TIME
        if features > _LARGEST:
            raise ValueError(
                f"an observation of {inputs} numbers makes {features} features, more than the {_LARGEST} that are "
                "fitted in a reasonable time: set baseline=value"
            )
        self._ridge = ridge
        self._coefficients = np.zeros(features)

    def predict(self, batch: Batch) -> Prediction:
        """Return ``w . x`` of each step, and of each final observation at the time it stands at."""
        of_steps = _features(batch.observations, batch.times)
        final = _features(batch.final, batch.episode_lengths)
        return Prediction(of_steps @ self._coefficients, final @ self._coefficients)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Fit w to the batch; return the mean squared error from before the fit."""
        features = _features(batch.observations, batch.times)
        errors = features @ self._coefficients - credit.of_steps
        self._coefficients = _ridge_regression(features, credit.of_steps, self._ridge)
        return {names.VALUE_LOSS: float(np.square(errors).mean())}


def _features(observations: Observations, times: Ints) -> Floats:
    """Return the features. observations: [n, O], times: [n]; the result: [n, 2 O + 4]."""
    o = np.clip(observations.astype(np.float64), -_CLIP, _CLIP)
    t = times[:, None] / _UNIT
    return np.concatenate([o, o**2, t, t**2, t**3, np.ones_like(t)], axis=1)


def _ridge_regression(x: Floats, y: Floats, ridge: float) -> Floats:
    """Return the w that minimises ``|x w - y|^2 + ridge |w|^2``. x: [S, F], y: [S]; the result: [F].

    Solved as the least squares of x with sqrt(ridge) I below it, by singular values: the normal equations would square
    a condition number that t^3 makes large. Columns are brought to one length first; of columns that are equal, or
    nearly, a part below rounding gets no coefficient instead of a wild one.
    """
    stacked = np.concatenate([x, np.sqrt(ridge) * np.eye(x.shape[1])])
    lengths: Floats = np.linalg.norm(stacked, axis=0)
    target = np.concatenate([y, np.zeros(x.shape[1])])
    scaled: Floats = np.linalg.lstsq(stacked / lengths, target, rcond=None)[0]
    return scaled / lengths
