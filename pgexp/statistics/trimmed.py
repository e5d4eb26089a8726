"""The t interval of the interquartile mean."""

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.intervals import Interval, check_level, checked
from pgexp.statistics.standard_errors import iqm_and_error


def trimmed_t_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the trimmed-mean t interval of the interquartile mean of the scores ``[n]``; None for a single score.

    It is `trimmed_t_band` for one sample. ValueError as `intervals.checked`.
    """
    sample = checked(scores, level)
    if sample.size == 1:
        return None
    low, high = trimmed_t_band(sample, level)
    return Interval(float(low), float(high))


def trimmed_t_band(scores: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return both ends of the interquartile mean's interval along the last axis: ``[..., n]`` to twice ``[...]``.

    With k = floor(n / 4) scores trimmed at each end, h = n - 2 k left, and t the (1 + level) / 2 quantile of Student's
    t with h - 1 degrees of freedom::

        IQM -+ t SE,    SE^2 = SSD / (h (h - 1))

    SSD is as `standard_errors.iqm_and_error` has it. Below four scores nothing is trimmed, and it is Student's interval
    of the mean; with four, t has a single degree of freedom, and the interval is far wider than with five.

    Source: Tukey and McLaughlin 1963, Sankhya A 25, 331-352. ValueError for fewer than two scores, for scores that are
    not finite, and for a level outside (0, 1).
    """
    from scipy.special import stdtrit

    check_level(level)
    centre, error = iqm_and_error(scores)
    n = np.shape(scores)[-1]
    reach = stdtrit(n - 2 * (n // 4) - 1, (1 + level) / 2) * error
    return centre - reach, centre + reach
