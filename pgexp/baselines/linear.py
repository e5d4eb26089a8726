"""Linear function of features of the observation and the time."""

import numpy as np

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.arrays import Floats, Ints, Observations
from pgexp.functional.batch import Batch, Returns
from pgexp.schema import names
from pgexp.schema.types import PositiveFloat

_CLIP = 10.0
_TIME_UNIT = 100.0  # steps
_TIME_FEATURES = 4
_MAX_FEATURES = 1_000  # the decomposition takes some seconds here, and its time grows with their cube


class LinearFeatures(Predictor):
    """``b(o, t) = w . [o, o^2, t/100, (t/100)^2, (t/100)^3, 1]``, o clipped to +-10 (rllab; Duan et al. 2016).

    w minimises ``sum_t (w . x_t - G_t)^2 + ridge |w|^2`` over the last batch, after its use; it is 0 before the first.
    Unbiased, because a batch's values are computed before the fit. The fit costs S F^2 operations for F = 2 O + 4
    features.
    """

    biased = False
    state_attributes = ("_coefficients",)

    def __init__(self, inputs: int, ridge: PositiveFloat) -> None:
        features = 2 * inputs + _TIME_FEATURES
        if features > _MAX_FEATURES:
            raise ValueError(
                f"the fit takes at most {_MAX_FEATURES} features (got {features}, from {inputs} numbers per "
                "observation): set baseline=value"
            )
        self._ridge = ridge
        self._coefficients = np.zeros(features)

    def predict(self, batch: Batch) -> Prediction:
        """Return ``w . x`` of each step, and of each final observation at the time after the last step."""
        of_steps = _features(batch.observations, batch.times)
        final = _features(batch.final, batch.episode_lengths)
        return Prediction(of_steps @ self._coefficients, final @ self._coefficients)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Fit w to the batch; return the mean squared error before the fit."""
        features = _features(batch.observations, batch.times)
        errors = features @ self._coefficients - returns.per_step
        self._coefficients = _ridge_regression(features, returns.per_step, self._ridge)
        return {names.VALUE_LOSS: float(np.square(errors).mean())}


def _features(observations: Observations, times: Ints) -> Floats:
    """Return the features. observations: [n, O], times: [n]; the result: [n, 2 O + 4]."""
    o = np.clip(observations.astype(np.float64), -_CLIP, _CLIP)
    t = times[:, None] / _TIME_UNIT
    return np.concatenate([o, o**2, t, t**2, t**3, np.ones_like(t)], axis=1)


def _ridge_regression(x: Floats, y: Floats, ridge: float) -> Floats:
    """Return the w that minimises ``|x w - y|^2 + ridge |w|^2``. x: [S, F], y: [S]; the result: [F].

    It solves the least-squares problem of x with sqrt(ridge) I below it by singular values, because the normal
    equations would square a condition number that t^3 makes large. Columns are scaled to length 1 first. Singular
    values below rounding, which equal columns cause, are dropped.
    """
    stacked = np.concatenate([x, np.sqrt(ridge) * np.eye(x.shape[1])])
    lengths: Floats = np.linalg.norm(stacked, axis=0)
    target = np.concatenate([y, np.zeros(x.shape[1])])
    scaled: Floats = np.linalg.lstsq(stacked / lengths, target, rcond=None)[0]
    return scaled / lengths
