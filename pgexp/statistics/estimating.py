"""The estimate that a table shows of a sample of scores, with the interval whose coverage holds at its size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from numpy.typing import ArrayLike

from pgexp.statistics.bootstraps import bca_interval, studentised_interval
from pgexp.statistics.estimates import FloatArray, interquartile_mean, mean, median, shortfalls
from pgexp.statistics.intervals import Interval, bootstrap_interval, checked, order_statistic_interval, t_interval
from pgexp.statistics.skewness import looks_skewed
from pgexp.statistics.standard_errors import iqm_and_error, mean_and_error
from pgexp.statistics.trimmed import trimmed_t_interval

Name = Literal["mean", "median", "iqm", "optimality_gap"]
Method = Literal["t", "trimmed t", "order statistics", "percentile", "BCa", "studentised", "stratified t"]
Methods = Mapping[Method, Callable[[FloatArray, float], Interval | None]]

STATISTICS: Final[Mapping[Name, Callable[[FloatArray], FloatArray]]] = {
    "mean": mean,
    "median": median,
    "iqm": interquartile_mean,
    "optimality_gap": mean,  # of the shortfalls
}
FEW: Final = 5
"""Below so many scores nothing can be seen of how they are distributed."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its interval, in the units of the scores, and how both are to be read.

    low and high are None where the sample is too small for an interval. caveat is one sentence that a reader of the
    interval should know, or "".
    """

    name: Name
    value: float
    low: float | None
    high: float | None
    level: float
    method: Method
    n: int
    caveat: str


def estimate(
    scores: ArrayLike,
    name: Name,
    level: float = 0.95,
    method: Method | Literal["auto"] = "auto",
    target: float | None = None,
) -> Estimate:
    """Return the estimate of that name of the scores ``[n]``, with the interval whose coverage holds best.

    By itself (`auto`) the method is Student's t for the mean and the optimality gap, the trimmed-mean t for the
    interquartile mean, and order statistics for the median; each can be had by the percentile, the BCa and (but for
    the median) the studentised bootstrap, too. `target` is that of the optimality gap.

    The share of these 95 % intervals that hold the truth, simulated (analysis/coverage) for scores that are normal,
    lognormal (sigma 1), and normal but for 5 % that collapse to 20 deviations below:

        ===========================  =====  =====  =====  =====  =====
        n                                3      5     10     20     30
        mean, normal                   .95    .95    .95    .95    .95
        mean, lognormal                .84    .82    .84    .87    .88
        mean, 5 % collapsed            .85    .69    .52    .64    .78
        IQM, normal                    .95    .94    .94    .94    .95
        IQM, lognormal                 .93    .92    .93    .93    .94
        IQM, 5 % collapsed             .96    .94    .95    .95    .95
        median, any of the three         -      -    .98    .96    .96
        optimality gap, normal         .91    .92    .94    .94    .95
        ===========================  =====  =====  =====  =====  =====

    Where the scores of a mean look skewed, `caveat` says so: `skewness.looks_skewed` has how often that is. What no
    interval and no caveat knows of is a collapse that the sample does not hold, and that is where the mean's fail.

    ValueError for scores that are not a vector of one or more finite numbers, for a level outside (0, 1), for a method
    that the estimate does not have, and for an optimality gap without a target.
    """
    if name not in STATISTICS:
        raise ValueError(f"no estimate is called {name!r}; there are {', '.join(get_args(Name))}")
    sample = estimated(checked(scores, level), name, target)
    methods = _methods(name)
    chosen = next(iter(methods)) if method == "auto" else method
    if chosen not in methods:
        raise ValueError(f"no interval of the {name} is by {method!r}; there are {', '.join(methods)}")
    interval = methods[chosen](sample, level)
    caveat = _caveat(sample, name, chosen, interval)
    return Estimate(name, float(STATISTICS[name](sample)), *ends(interval, name), level, chosen, sample.size, caveat)


def estimated(sample: FloatArray, name: Name, target: float | None) -> FloatArray:
    """Return what an estimate is of: the scores, or their shortfalls; ValueError for a gap without a target."""
    if name != "optimality_gap":
        return sample
    if target is None:
        raise ValueError("an optimality gap needs a target")
    return shortfalls(sample, target)


def ends(interval: Interval | None, name: Name) -> tuple[float | None, float | None]:
    """Return both ends of an estimate's interval; None where there is none, and no optimality gap is below 0."""
    if interval is None:
        return None, None
    return (max(interval.low, 0.0) if name == "optimality_gap" else interval.low), interval.high


def _methods(name: Name) -> Methods:
    """Return the interval methods of an estimate; the first is the one whose coverage holds."""
    statistic = STATISTICS[name]
    bootstraps: Methods = {
        "percentile": lambda sample, level: bootstrap_interval(sample, statistic, level),
        "BCa": lambda sample, level: bca_interval(sample, statistic, level),
    }
    if name == "median":
        return {"order statistics": order_statistic_interval, **bootstraps}
    own, errors = (trimmed_t_interval, iqm_and_error) if name == "iqm" else (t_interval, mean_and_error)
    return {
        "trimmed t" if name == "iqm" else "t": own,
        **bootstraps,
        "studentised": lambda sample, level: studentised_interval(sample, errors, level),
    }


def _caveat(sample: FloatArray, name: Name, method: Method, interval: Interval | None) -> str:
    n = sample.size
    if n == 1:
        return "A single seed tells nothing of the spread over seeds."
    if interval is None:
        return f"{n} seeds are too few for an interval of the {name} by {method}."
    if interval.low == interval.high and method != "order statistics":
        return "The scores that count are all equal: the interval has no width, though other scores may be possible."
    if name in ("mean", "optimality_gap") and looks_skewed(sample):
        return "The scores look skewed or hold an outlier: of such scores, the interval of a mean is wrong too often."
    if name == "iqm" and n == 4:
        return "With 4 seeds the interval rests on the middle two, and is far wider than it would be with 5."
    if n < FEW and method in ("t", "trimmed t"):
        return f"The interval takes the scores for normal, which {n} seeds cannot show."
    return ""
