"""Coverage of intervals of more than one sample: the probability of improvement, and estimates over tasks."""

from collections.abc import Callable, Iterator
from functools import cache
from math import sqrt
from typing import Final, Literal, get_args

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr

from analysis.coverage.distributions import ALL, Distribution
from pgexp.statistics.estimates import FloatArray, interquartile_mean
from pgexp.statistics.estimating import Name
from pgexp.statistics.improvement import probability_of_improvement
from pgexp.statistics.tasks import estimate_over_tasks

PAIRS: Final = 10_000
SIZES: Final = ((3, 3), (5, 5), (10, 10), (20, 20), (5, 20))
TASKS: Final = (3, 10)
SEEDS: Final = (3, 5, 10)
SUITES: Final = 400
RESAMPLES: Final = 300

Method = Literal["stratified t", "percentile", "BCa", "studentised"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Draw = Callable[[np.random.Generator, int], FloatArray]


def normal(centre: float, deviation: float = 1.0) -> Draw:
    """Return a sampler of normal scores."""
    return lambda generator, n: generator.normal(centre, deviation, size=n)


def at_most(ceiling: float, draw: Draw) -> Draw:
    """Return a sampler of scores that end at a ceiling, where they tie."""
    return lambda generator, n: np.minimum(draw(generator, n), ceiling)


def scenarios() -> Iterator[tuple[str, Draw, Draw, float]]:
    """Yield what x and y are drawn from, with the true P(X > Y) + P(X = Y) / 2."""
    for shift in (0.0, 1.0, 2.0, 3.0):
        yield f"normal, {shift:g} deviations apart", normal(shift), normal(0), float(ndtr(shift / sqrt(2)))
    yield "normal, one deviation three times the other", normal(2, 3), normal(0), float(ndtr(2 / sqrt(10)))
    yield (
        *("lognormal, one e times the other", lambda rng, n: rng.lognormal(1, size=n)),
        *(lambda rng, n: rng.lognormal(size=n), float(ndtr(1 / sqrt(2)))),
    )
    below = quad(lambda x: np.exp(-((x - 1) ** 2) / 2) / sqrt(2 * np.pi) * ndtr(x), -12, 0)[0]
    tied = float(ndtr(1) * (1 - ndtr(0)) + ndtr(1) * ndtr(0) / 2 + below)
    yield "normal, cut at a ceiling that 84 and 50 % reach", at_most(0, normal(1)), at_most(0, normal(0)), tied


def improvement() -> Iterator[dict[str, object]]:
    """Yield the coverage of the interval of the probability of improvement."""
    for scores, draw_x, draw_y, truth in scenarios():
        for m, n in SIZES:
            generator, covered, width = np.random.default_rng([m, n]), 0, 0.0
            for _ in range(PAIRS):
                _, low, high = probability_of_improvement(draw_x(generator, m), draw_y(generator, n))
                covered += low <= truth <= high
                width += high - low
            yield {
                "scores": scores,
                "probability": f"{truth:.3f}",
                "sizes": f"{m} and {n}",
                "pairs": PAIRS,
                "coverage": covered / PAIRS,
                "mean_width": width / PAIRS,
            }


def over_tasks() -> Iterator[dict[str, object]]:
    """Yield the coverage of the intervals over tasks, whose means and deviations are spread evenly."""
    for name in ("mean", "median", "iqm"):
        for method in METHODS if name != "median" else METHODS[:-1]:
            for distribution in ALL:
                for tasks in TASKS:
                    for n in SEEDS:
                        yield _suite(name, method, distribution, tasks, n)


def _suite(name: Name, method: Method, distribution: Distribution, tasks: int, n: int) -> dict[str, object]:
    truth, generator = _truth(name, distribution, tasks), np.random.default_rng([tasks, n])
    given, covered = 0, 0
    for _ in range(SUITES):
        found = estimate_over_tasks(
            _scores(generator, distribution, tasks, n), name, method=method, resamples=RESAMPLES
        )
        if found.low is not None and found.high is not None:
            given, covered = given + 1, covered + (found.low <= truth <= found.high)
    return {
        "estimate": name,
        "method": method,
        "distribution": distribution.name,
        "tasks": tasks,
        "n": n,
        "suites": SUITES,
        "given": given / SUITES,
        "coverage": covered / SUITES if given else np.nan,
    }


def _scores(generator: np.random.Generator, distribution: Distribution, tasks: int, n: int) -> list[FloatArray]:
    drawn = distribution.draw(generator, (tasks, n))
    centres, scales = np.linspace(0, 2, tasks), np.linspace(0.2, 0.6, tasks)
    return [centre + scale * one for centre, scale, one in zip(centres, scales, drawn, strict=True)]


@cache
def _truth(name: Name, distribution: Distribution, tasks: int) -> float:
    """Return what the estimate is of: exact for means of means, within .001 for the pooled interquartile mean."""
    means = np.linspace(0, 2, tasks) + np.linspace(0.2, 0.6, tasks) * distribution.mean
    if name != "iqm":
        return float(means.mean() if name == "mean" else np.median(means))
    many = _scores(np.random.default_rng(9), distribution, tasks, 4_000_000 // tasks)
    return float(interquartile_mean(np.concatenate(many)))
