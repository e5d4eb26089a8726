"""Steps to a threshold: of one run, and the Kaplan-Meier median over seeds of which some never reach it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.intervals import check_level
from pgexp.statistics.point_estimates import FloatArray


@dataclass(frozen=True, kw_only=True)
class StepsToThreshold:
    """The steps until a return is reached, over n seeds of which `reached` reached it.

    `median` is None if too few seeds reached the threshold: it is larger than `followed`, the most steps that any seed
    was followed. [low, high] is its interval. An end is None if the seeds do not bound it, as high with five seeds that
    all reached it.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: int
    n: int
    followed: float


def steps_to_threshold(steps: ArrayLike, returns: ArrayLike, threshold: float) -> int | None:
    """Return the first evaluated step whose return reaches the threshold, or None.

    steps ``[n]`` are environment steps in any order, returns ``[n]`` the evaluation returns there; NaN never reaches
    the threshold. Later evaluations may be below it. Raises ValueError if the shapes differ.
    """
    at, reached = np.asarray(steps), np.asarray(returns, dtype=np.float64) >= threshold
    if at.shape != reached.shape or at.ndim != 1:
        raise ValueError(f"steps and returns must be vectors of equal length (got {at.shape} and {reached.shape})")
    return int(at[reached].min()) if reached.any() else None


def median_steps_to_threshold(first: Sequence[float | None], last: ArrayLike, level: float = 0.95) -> StepsToThreshold:
    """Return the median steps to a threshold over seeds, with seeds that never reached it as censored observations.

    first ``[n]`` are the `steps_to_threshold` of each seed, None if it never reached the threshold; last ``[n]`` are
    the steps of each seed's last evaluation, at which such a seed is censored. Censoring treats a seed like those that
    continue, as if its budget ended. For a seed that failed, and would never have reached the threshold, pass the most
    steps of any seed. If d_t of the m_t seeds still at risk reach the threshold at t, the share still at risk after t
    (Kaplan and Meier 1958) is::

        S(t) = product over s <= t of (1 - d_s / m_s)

    The median is the first t with S(t) <= 1/2. Its interval holds the t at which the log-log interval of S(t) holds 1/2
    (Brookmeyer and Crowley 1982). Steps are those of evaluations: the threshold was passed up to one evaluation
    earlier.

    Raises ValueError if there are no seeds, a first step is after the last evaluation, a value is not finite, or the
    level is outside (0, 1).
    """
    passed = np.array([np.nan if step is None else step for step in first], dtype=np.float64)
    ends = np.asarray(last, dtype=np.float64)
    _check(first, passed, ends, level)
    at, share, low, high = _kaplan_meier(passed, ends, level)
    return StepsToThreshold(
        median=_first_half(at, share),
        low=_first_half(at, low),
        high=_first_half(at, high),
        reached=int(np.count_nonzero(~np.isnan(passed))),
        n=passed.size,
        followed=float(np.where(np.isnan(passed), ends, np.maximum(passed, ends)).max()),
    )


def _kaplan_meier(passed: FloatArray, ends: FloatArray, level: float) -> tuple[FloatArray, ...]:
    """Return times, the share of seeds at risk after each, and the ends of its interval (NaN for a share of 0 or 1)."""
    from scipy.stats import CensoredData, ecdf

    never = np.isnan(passed)
    survival = ecdf(CensoredData(uncensored=passed[~never], right=ends[never])).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # from undefined intervals
        interval: Any = survival.confidence_interval(level, method="log-log")  # the stubs type its ends as numbers
    low, high = interval.low.probabilities, interval.high.probabilities
    return survival.quantiles, survival.probabilities, low, high


def _first_half(at: FloatArray, share: FloatArray) -> float | None:
    """Return the first time at which the share is at most one half, or None."""
    found = np.flatnonzero(share <= 0.5 + 1e-12)  # a product of fractions may be an ulp above
    return float(at[found[0]]) if found.size else None


def _check(first: Sequence[float | None], passed: FloatArray, ends: FloatArray, level: float) -> None:
    if passed.size == 0 or passed.shape != ends.shape:
        raise ValueError(f"one or more seeds with a last evaluation each (got {passed.size} and {ends.shape})")
    unknown = any(step is not None and not np.isfinite(step) for step in first)
    if unknown or not np.isfinite(ends).all() or (passed > ends).any() or min(ends.min(), np.nanmin([0, *passed])) < 0:
        raise ValueError("steps must be finite, not negative, and not after the last evaluation")
    check_level(level)
