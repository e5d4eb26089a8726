"""How long learning takes over seeds, some of which never got there."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.intervals import check_level


@dataclass(frozen=True, kw_only=True)
class StepsToThreshold:
    """The steps until a return is reached, over n seeds of which `reached` came to it.

    `median` is None where too few seeds came to the threshold: it lies beyond `followed`, the most steps that any
    seed was followed. [low, high] is its interval; an end is None where the seeds do not bound it, as high is with
    five seeds that all got there. `restricted_mean` is the mean of the steps to the threshold or to `horizon`,
    whichever come first.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: int
    n: int
    followed: float
    restricted_mean: float
    horizon: float


def steps_over_seeds(
    first: Sequence[float | None], last: ArrayLike, level: float = 0.95, horizon: float | None = None
) -> StepsToThreshold:
    """Return the median steps to a threshold over seeds, with those that never got there taken into account.

    first ``[n]`` are the steps at which each seed came to the threshold (`thresholds.steps_to_threshold`), None
    where it never did; last ``[n]`` the steps of each seed's last evaluation, where a seed that never got there is
    censored: it would have taken more than that. Censoring takes such a seed for one like those that go on, as where
    its budget ended; for one that failed, and would never have got there, give the most steps of any. With d_t of the
    m_t seeds that were still on their way coming to it at t, the share still on its way after t (Kaplan and Meier
    1958) is::

        S(t) = product over s <= t of (1 - d_s / m_s)

    The median is the first t with S(t) <= 1/2, and its interval holds the t where the log-log interval of S(t)
    holds 1/2 (Brookmeyer and Crowley 1982); the area under S up to the horizon is the restricted mean (Royston and
    Parmar 2013). The horizon is by default the longest that a seed was followed; name one for all configurations
    where restricted means are compared. Steps are those of evaluations: the threshold was passed up to one
    evaluation earlier.

    ValueError for no seeds, for a passage after the last evaluation, for NaN, a level outside (0, 1), and for a
    horizon that no seed was followed to.
    """
    passed = np.array([np.nan if step is None else step for step in first], dtype=np.float64)
    ends = np.asarray(last, dtype=np.float64)
    _check(first, passed, ends, level)
    at, share, low, high = _kaplan_meier(passed, ends, level)
    followed = float(np.where(np.isnan(passed), ends, np.maximum(passed, ends)).max())
    until = followed if horizon is None else horizon
    if not 0 <= until <= followed:
        raise ValueError(f"no seed was followed to the horizon {until:g}, only to {followed:g}")
    return StepsToThreshold(
        median=_first_half(at, share),
        low=_first_half(at, low),
        high=_first_half(at, high),
        reached=int(np.count_nonzero(~np.isnan(passed))),
        n=passed.size,
        followed=followed,
        restricted_mean=_area(at, share, until),
        horizon=until,
    )


def _kaplan_meier(passed: FloatArray, ends: FloatArray, level: float) -> tuple[FloatArray, ...]:
    """Return times, the share of seeds still on their way after each, and the ends of its interval there.

    Where nobody is on the way the interval is undefined, NaN, and so it is where all are.
    """
    from scipy.stats import CensoredData, ecdf

    never = np.isnan(passed)
    survival = ecdf(CensoredData(uncensored=passed[~never], right=ends[never])).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of where the interval is undefined
        interval: Any = survival.confidence_interval(level, method="log-log")  # the stubs take its ends for numbers
    low, high = interval.low.probabilities, interval.high.probabilities
    return survival.quantiles, survival.probabilities, low, high


def _first_half(at: FloatArray, share: FloatArray) -> float | None:
    """Return the first time at which the share is at most one half, None where there is none."""
    there = np.flatnonzero(share <= 0.5 + 1e-12)  # a product of fractions may end an ulp above
    return float(at[there[0]]) if there.size else None


def _area(at: FloatArray, share: FloatArray, until: float) -> float:
    """Return the area under the step function that is 1 before the first time, up to a time."""
    edges = np.concatenate([[0.0], np.minimum(at, until), [until]])
    return float((np.diff(edges) * np.concatenate([[1.0], share])).sum())


def _check(first: Sequence[float | None], passed: FloatArray, ends: FloatArray, level: float) -> None:
    if passed.size == 0 or passed.shape != ends.shape:
        raise ValueError(f"one last evaluation for each of one or more seeds, not {passed.size} and {ends.shape}")
    unknown = any(step is not None and not np.isfinite(step) for step in first)
    if unknown or not np.isfinite(ends).all() or (passed > ends).any() or min(ends.min(), np.nanmin([0, *passed])) < 0:
        raise ValueError("steps are finite and not negative, and a threshold is reached by the last evaluation")
    check_level(level)
