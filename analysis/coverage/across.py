"""Coverage of the intervals of the probability of improvement and of estimates across environments."""

from collections.abc import Callable, Iterator
from functools import cache
from math import sqrt
from typing import Final

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr

from analysis.coverage.bootstraps import ESTIMATORS, STATISTICS, bca_interval, percentile_interval, studentised_interval
from analysis.coverage.distributions import ALL, Distribution
from pgexp.statistics.differences import probability_of_improvement
from pgexp.statistics.estimation import Name, estimate_across_environments
from pgexp.statistics.point_estimates import FloatArray, interquartile_mean

PAIRS: Final = 10_000
SIZES: Final = ((3, 3), (5, 5), (10, 10), (20, 20), (5, 20))
ENVIRONMENTS: Final = (3, 10)
SEEDS: Final = (3, 5, 10)
SUITES: Final = 400
RESAMPLES: Final = 300
METHODS: Final = ("stratified t", "percentile", "BCa", "studentised")

Draw = Callable[[np.random.Generator, int], FloatArray]


def normal(center: float, deviation: float = 1.0) -> Draw:
    """Return a sampler of normal scores."""
    return lambda generator, n: generator.normal(center, deviation, size=n)


def at_most(ceiling: float, draw: Draw) -> Draw:
    """Return a sampler of scores that are cut at a ceiling, where they tie."""
    return lambda generator, n: np.minimum(draw(generator, n), ceiling)


def scenarios() -> Iterator[tuple[str, Draw, Draw, float]]:
    """Yield the name, both samplers and the true P(X > Y) + P(X = Y) / 2 of each scenario."""
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


def across_environments() -> Iterator[dict[str, object]]:
    """Yield the coverage across environments, whose means and deviations are evenly spaced."""
    names: tuple[Name, ...] = ("mean", "median", "iqm")
    for name in names:
        for method in METHODS if name != "median" else METHODS[:-1]:
            for distribution in ALL:
                for environments in ENVIRONMENTS:
                    for n in SEEDS:
                        yield _suite(name, method, distribution, environments, n)


def interval(
    scores: list[FloatArray], name: Name, method: str, resamples: int = RESAMPLES
) -> tuple[float | None, float | None]:
    """Return the ends of an estimate's 95 % interval across environments by one of `METHODS`, None if it has none."""
    if method == "stratified t":
        found = estimate_across_environments(scores, name, resamples=resamples)
        return found.low, found.high
    if method == "studentised":
        return studentised_interval(scores, ESTIMATORS[name], resamples=resamples) or (None, None)
    of = percentile_interval if method == "percentile" else bca_interval
    return of(scores, STATISTICS[name], resamples=resamples)


def _suite(name: Name, method: str, distribution: Distribution, environments: int, n: int) -> dict[str, object]:
    truth, generator = _truth(name, distribution, environments), np.random.default_rng([environments, n])
    found, covered = 0, 0
    for _ in range(SUITES):
        low, high = interval(_scores(generator, distribution, environments, n), name, method)
        if low is not None and high is not None:
            found, covered = found + 1, covered + (low <= truth <= high)
    return {
        "estimate": name,
        "method": method,
        "distribution": distribution.name,
        "environments": environments,
        "n": n,
        "suites": SUITES,
        "found": found / SUITES,
        "coverage": covered / SUITES if found else np.nan,
    }


def _scores(generator: np.random.Generator, distribution: Distribution, environments: int, n: int) -> list[FloatArray]:
    drawn = distribution.draw(generator, (environments, n))
    centers, scales = np.linspace(0, 2, environments), np.linspace(0.2, 0.6, environments)
    return [center + scale * one for center, scale, one in zip(centers, scales, drawn, strict=True)]


@cache
def _truth(name: Name, distribution: Distribution, environments: int) -> float:
    """Return the true value: exact for means of means, within .001 for the pooled interquartile mean."""
    means = np.linspace(0, 2, environments) + np.linspace(0.2, 0.6, environments) * distribution.mean
    if name != "iqm":
        return float(means.mean() if name == "mean" else np.median(means))
    many = _scores(np.random.default_rng(9), distribution, environments, 4_000_000 // environments)
    return float(interquartile_mean(np.concatenate(many)))
