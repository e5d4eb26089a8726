"""Performance profiles: the share of runs above each score, with bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.intervals import checked
from pgexp.statistics.proportions import beta_interval


@dataclass(frozen=True)
class Profile:
    """The share of runs above each threshold, and two bands around it; all ``[thresholds]``.

    [low, high] holds the truth at any one threshold, [all_low, all_high] at all of them together.
    """

    thresholds: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray
    all_low: FloatArray
    all_high: FloatArray


def performance_profile(tasks: Sequence[ArrayLike], thresholds: ArrayLike, level: float = 0.95) -> Profile:
    """Return the share of runs that score above each threshold, each task counted alike.

    tasks holds a vector of scores a task, in units that may be compared; for a single one it is ``[scores]``.

    The pointwise band is the exact one of `proportions`, not a bootstrap's, which has no width where all runs lie on
    one side of a threshold. The simultaneous band is share -+ the (1 + level) / 2 quantile of Smirnov's exact one-sided
    statistic. For one task both hold at least as often as `level` says; over several, which vary less than as many
    runs of one, more often. Where tasks have unequally many seeds, n is (number of tasks)^2 / sum(1 / n_i).

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.2; Hoeffding 1956, Annals of Mathematical Statistics 27,
    713-721, for several tasks. ValueError for no task, for scores that are not vectors of one or more finite numbers,
    and for a level outside (0, 1).
    """
    from scipy.special import smirnovi

    samples = [checked(task, level) for task in tasks]
    if not samples:
        raise ValueError("a performance profile needs one task or more")
    limits = np.asarray(thresholds, dtype=np.float64).reshape(-1)
    share = np.mean([(sample[:, None] > limits).mean(axis=0) for sample in samples], axis=0)
    n = len(samples) ** 2 / sum(1 / sample.size for sample in samples)
    bands = np.array([beta_interval(one * n, n, level) for one in share]).reshape(-1, 2)
    reach = float(smirnovi(max(1, int(n + 1e-9)), (1 - level) / 2))
    return Profile(limits, share, bands[:, 0], bands[:, 1], np.clip(share - reach, 0, 1), np.clip(share + reach, 0, 1))
