"""Simulated size and power of the tests of two configurations.

    python -m analysis.error_rates.size_and_power

A cell is the share of simulated pairs with p <= .05: of 100,000 pairs for a t test (Monte Carlo error .0007), of 5,000
for a permutation test (.003), and of 2,000 in the tables of power (.01). 999 relabellings are drawn if more than 20,000
are possible.
"""

import math
from collections.abc import Callable

import numpy as np

from analysis.error_rates.samplers import DISTRIBUTIONS, Draw, collapsing, normal, table
from analysis.error_rates.yuen import paired_yuen_t, yuen_t
from pgexp.statistics.point_estimates import FloatArray
from pgexp.statistics.power import detectable_effect
from pgexp.statistics.two_sample_tests import TStatistic, paired_t, permutation_test, sign_flip_test, welch_t

ALPHA = 0.05
SEEDS = (3, 4, 5, 6, 10, 20)
UNEQUAL = ((3, 5), (3, 10), (3, 20), (5, 10), (5, 20), (9, 10), (10, 20))
PAIRS = 100_000
PERMUTED = 5_000
POWERED = 2_000
DRAWS = 999
AT_ONCE = 20  # pairs whose relabellings are in memory together

Statistic = Callable[[FloatArray, FloatArray], TStatistic]


def rejects(p: FloatArray) -> float:
    """Return the share of tests that reject."""
    return float((p <= ALPHA + 1e-12).mean())


def permutation_rejects(a: FloatArray, b: FloatArray, statistic: Statistic, pairs: int, paired: bool = False) -> float:
    """Return the share of permutation tests that reject, for the first `pairs` pairs of samples."""
    test = sign_flip_test if paired else permutation_test
    parts = [slice(start, start + AT_ONCE) for start in range(0, pairs, AT_ONCE)]
    return rejects(np.concatenate([test(a[part], b[part], DRAWS, statistic).p for part in parts]))


def unpaired(
    draw_a: Draw, draw_b: Draw, n_a: int, n_b: int, shift: float = 0.0, permuted: int = PERMUTED
) -> list[float]:
    """Return the rejection rates of Welch's t, its permutation, Yuen's t and its permutation for unpaired samples."""
    generator = np.random.default_rng(n_a * 100 + n_b)
    a, b = draw_a(generator, (PAIRS, n_a)) + shift, draw_b(generator, (PAIRS, n_b))
    return [
        share
        for statistic in (welch_t, yuen_t)
        for share in (rejects(statistic(a, b).p), permutation_rejects(a, b, statistic, permuted))
    ]


def paired(draw: Draw, n: int) -> list[float]:
    """Return the rejection rates of the paired t, its sign flips, Yuen's paired t and its sign flips."""
    generator = np.random.default_rng(n)
    a, b = draw(generator, (PAIRS, n)), draw(generator, (PAIRS, n))
    return [
        share
        for statistic in (paired_t, paired_yuen_t)
        for share in (rejects(statistic(a, b).p), permutation_rejects(a, b, statistic, PERMUTED, paired=True))
    ]


def attainable(least: float) -> float:
    """Return the attainable size of a permutation test at .05: the largest multiple of its least p up to .05."""
    return math.floor(ALPHA / least + 1e-9) * least


def wide(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw normal scores with four times the deviation."""
    return 4 * generator.normal(size=shape)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw lognormal scores less their mean."""
    return generator.lognormal(size=shape) - math.exp(0.5)


def main() -> None:
    """Print the tables."""
    tests = ("Welch's t", "permuted", "Yuen's t", "permuted")
    for name, draw in DISTRIBUTIONS.items():
        sizes = [*((n, n) for n in SEEDS), *UNEQUAL]
        rows = ((f"{a}, {b}", *unpaired(draw, draw, a, b)) for a, b in sizes)
        table(f"Equal configurations, unpaired, {name}", ("n", *tests), rows)
        rows_of_pairs = ((str(n), *paired(draw, n)) for n in SEEDS)
        table(f"Equal configurations, paired, {name}", ("pairs", "t", "sign flips", "Yuen's t", "flips"), rows_of_pairs)
    table(
        "Least p and attainable size of the permutation tests at .05",
        ("n", "splits, least p", "size", "flips, least p", "size"),
        ((n, 2 / math.comb(2 * n, n), attainable(2 / math.comb(2 * n, n)), 2.0 ** (1 - n), attainable(2.0 ** (1 - n)))
         for n in range(2, 11)),
    )  # fmt: skip
    for title, draws in {
        "normal, a 4 times as wide": (wide, normal),
        "a lognormal, b normal": (skewed, normal),
    }.items():
        sizes = [(3, 3), (5, 5), (10, 10), (20, 20), (5, 10), (10, 5)]
        rows = ((f"{a}, {b}", *unpaired(*draws, a, b)) for a, b in sizes)
        table(f"Equal means, unequal variances or shapes: {title}", ("n", *tests), rows)
    for name, draw in DISTRIBUTIONS.items():
        rows = ((f"{n}, {n}", *unpaired(draw, draw, n, n, detectable_effect(n), POWERED)) for n in (5, 10, 20))
        table(f"Power at a shift that Welch's t detects with .8 on normal scores, {name}", ("n", *tests), rows)
    rows = ((f"{n}, {n}", *unpaired(normal, collapsing(0.3), n, n, 0.0, POWERED)) for n in (5, 10, 20))
    table("Power if 30 % of b collapse and nothing else differs", ("n", *tests), rows)


if __name__ == "__main__":
    main()
