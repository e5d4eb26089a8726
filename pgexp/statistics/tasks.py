"""Estimates over several tasks, with intervals that resample the seeds of each task by themselves."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.estimates import FloatArray, interquartile_mean
from pgexp.statistics.estimating import Estimate, Method, Name, ends, estimated
from pgexp.statistics.intervals import RESAMPLES, Interval, checked
from pgexp.statistics.skewness import looks_skewed
from pgexp.statistics.standard_errors import mean_and_error
from pgexp.statistics.stratified import (
    Estimator,
    Samples,
    Statistic,
    stratified_bca_interval,
    stratified_bootstrap_interval,
    stratified_studentised_interval,
    stratified_t_interval,
)


def estimate_over_tasks(
    tasks: Sequence[ArrayLike],
    name: Name,
    level: float = 0.95,
    method: Literal["auto", "stratified t", "percentile", "BCa", "studentised"] = "auto",
    target: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the estimate of that name over tasks, each a vector of scores ``[n_i]`` in units that may be compared.

    The mean and the optimality gap (against one `target`) are means over tasks of the tasks' own, the median is the
    median over tasks of their means, and the interquartile mean is that of the scores of all tasks pooled. With
    equally many seeds a task they are rliable's; with unequally many, a task weighs as its seeds do in the
    interquartile mean only. The tasks are the ones at hand: nothing is said of others.

    The interval (`stratified t`, which is what `auto` takes) is estimate -+ t SE. The bootstraps within tasks can be
    had, too: `percentile`, which is rliable's, too narrow where seeds are few, `BCa`, no better there and worse for the
    median, and (but for the median) `studentised`: see `stratified`. n is the fewest seeds that a task has; with a
    single one there is no interval, and with few seeds and tasks no studentised one, which `caveat` then says.

    The least and the largest share of 95 % intervals that hold the truth, simulated over 3 and 10 tasks with 3, 5 and
    10 seeds each (analysis/coverage):

        ===================  ============  ============  ===================
        stratified t         normal        lognormal     5 % collapsed
        mean                 .94 to .96    .85 to .91    .57 to .93
        median               .91 to .96    .75 to .90    .65 to .87
        IQM                  .93 to .96    .93 to .98    .94 to .98
        mean, studentised    .94 to .97    .90 to .93    .61 to .95
        IQM, studentised     .94 to .97    .93 to .97    .94 to .95
        IQM, percentile      .75 to .92    .78 to .91    .79 to .92
        IQM, BCa             .74 to .91    .75 to .92    .76 to .92
        ===================  ============  ============  ===================

    The studentised interval of the IQM of 3 tasks with 3 seeds can mostly not be given, and is not counted.

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4. ValueError for no task, for scores that are not vectors of
    one or more finite numbers, for a level outside (0, 1), for a method that the estimate does not have, and for an
    optimality gap without a target.
    """
    samples = _prepared(tasks, name, level, target)
    methods = _methods(name)
    used = next(iter(methods)) if method == "auto" else method
    if used not in methods:
        raise ValueError(f"no interval of the {name} over tasks is by {method!r}; there are {', '.join(methods)}")
    value, least = float(STATISTICS[name](samples)), min(sample.size for sample in samples)
    interval = methods[used](samples, level=level, resamples=resamples, seed=seed) if least > 1 else None
    return Estimate(name, value, *ends(interval, name), level, used, least, _caveat(samples, name, used, interval))


def _prepared(tasks: Sequence[ArrayLike], name: Name, level: float, target: float | None) -> Samples:
    """Return the samples that an estimate is of."""
    samples = [checked(task, level) for task in tasks]
    if not samples:
        raise ValueError("an estimate over tasks needs one task or more")
    return [estimated(sample, name, target) for sample in samples]


def _methods(name: Name) -> Mapping[Method, Callable[..., Interval | None]]:
    """Return the interval methods of an estimate; the first is the one whose coverage holds."""
    statistic = STATISTICS[name]
    methods: dict[Method, Callable[..., Interval | None]] = {
        "stratified t": partial(stratified_t_interval, statistic=statistic),
        "percentile": partial(stratified_bootstrap_interval, statistic=statistic),
        "BCa": partial(stratified_bca_interval, statistic=statistic),
    }
    if name in ESTIMATORS:
        methods["studentised"] = partial(stratified_studentised_interval, estimator=ESTIMATORS[name])
    return methods


def _caveat(samples: Samples, name: Name, method: Method, interval: Interval | None) -> str:
    alone = sum(sample.size == 1 for sample in samples)
    if alone:
        return f"{alone} of {len(samples)} tasks with a single seed tell nothing of the spread over seeds."
    if interval is None:
        return f"The seeds of the tasks are too few for an interval of the {name} by {method}."
    if interval.low == interval.high:
        return "The scores of each task are all equal: the interval has no width, though other scores may be possible."
    skewed = sum(looks_skewed(sample) for sample in samples)
    if skewed and name != "iqm":
        what = "of such scores, the interval of a mean is wrong too often"
        return f"The scores of {skewed} of {len(samples)} tasks look skewed or hold an outlier: {what}."
    return ""


def _task_means(samples: Samples) -> FloatArray:
    return np.stack([sample.mean(axis=-1) for sample in samples], axis=-1)


def _mean(samples: Samples) -> FloatArray:
    return np.asarray(_task_means(samples).mean(axis=-1))


def _median(samples: Samples) -> FloatArray:
    return np.asarray(np.median(_task_means(samples), axis=-1))


def _pooled_iqm(samples: Samples) -> FloatArray:
    return interquartile_mean(np.concatenate(samples, axis=-1))


def _mean_and_error(samples: Samples) -> tuple[FloatArray, FloatArray]:
    """Return the mean over tasks and its standard error: SE^2 = sum(SE_i^2) / tasks^2."""
    errors = np.stack([mean_and_error(sample)[1] for sample in samples], axis=-1)
    return _mean(samples), np.sqrt((errors**2).sum(axis=-1)) / len(samples)


def _pooled_iqm_and_error(samples: Samples) -> tuple[FloatArray, FloatArray]:
    """Return the pooled interquartile mean and its standard error: SE^2 = sum((n_i SE_i)^2) / h^2.

    The scores are Winsorised at the outermost ones of the pool that are kept, h of them, and SE_i is the standard error
    of the mean of task i's: the influence of a score on a trimmed mean is how far its Winsorised value lies from the
    mean of them, and from that of its task where tasks are sampled by themselves. Of one task it is that of
    `standard_errors.iqm_and_error` but for a factor of n, which a studentised interval does without.
    """
    pooled = np.sort(np.concatenate(samples, axis=-1), axis=-1)
    n, cut = pooled.shape[-1], pooled.shape[-1] // 4
    lowest, highest = pooled[..., [cut]], pooled[..., [n - cut - 1]]
    errors = [sample.shape[-1] * mean_and_error(sample.clip(lowest, highest))[1] for sample in samples]
    return interquartile_mean(pooled), np.sqrt((np.stack(errors, axis=-1) ** 2).sum(axis=-1)) / (n - 2 * cut)


STATISTICS: Final[Mapping[Name, Statistic]] = {
    "mean": _mean,
    "median": _median,
    "iqm": _pooled_iqm,
    "optimality_gap": _mean,  # of the shortfalls
}
ESTIMATORS: Final[Mapping[Name, Estimator]] = {
    "mean": _mean_and_error,
    "iqm": _pooled_iqm_and_error,
    "optimality_gap": _mean_and_error,
}
