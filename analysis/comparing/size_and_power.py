"""Simulates how often each test of two configurations rejects: equal ones, and ones that differ.

    python -m analysis.comparing.size_and_power

A cell is the share of simulated pairs with p <= .05, of 100,000 pairs for a t test (Monte Carlo error .0007), and of
5,000 for a permutation test (.003), in the tables of power 2,000 (.01), with 999 relabellings drawn where more than
20,000 are possible.
"""

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import stdtr

from analysis.comparing.seeds import DISTRIBUTIONS, Draw, collapsing, normal, table
from pgexp.statistics.comparing import TRIM
from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.permutation import Permutation, sign_flip_test, split_test
from pgexp.statistics.power import detectable_effect
from pgexp.statistics.two_samples import Studentised, of_independent, of_pairs

ALPHA = 0.05
SEEDS = (3, 4, 5, 6, 10, 20)
UNEQUAL = ((3, 5), (3, 10), (3, 20), (5, 10), (5, 20), (9, 10), (10, 20))
PAIRS = 100_000
PERMUTED = 5_000
POWERED = 2_000
DRAWN = 999


def p_of_t(statistic: Studentised) -> FloatArray:
    """Return the two-sided p values of t tests."""
    return np.asarray(2 * stdtr(statistic.degrees, -np.abs(statistic.t)))


def t_rejects(statistic: Studentised) -> float:
    """Return the share of t tests that reject."""
    return float((p_of_t(statistic) <= ALPHA).mean())


def permutation_rejects(a: FloatArray, b: FloatArray, trim: float, pairs: int, paired: bool = False) -> float:
    """Return the share of permutation tests that reject, of the first so many pairs of samples."""
    test = sign_flip_test if paired else split_test
    few = 20  # pairs at once: the relabellings of all stand in memory
    parts: Iterator[Permutation] = (
        test(a[start : start + few], b[start : start + few], trim, DRAWN) for start in range(0, pairs, few)
    )
    return float((np.concatenate([part.p for part in parts]) <= ALPHA + 1e-12).mean())


def unpaired(
    draw_a: Draw, draw_b: Draw, n_a: int, n_b: int, shift: float = 0.0, permuted: int = PERMUTED
) -> list[float]:
    """Return what Welch's t, its permutation, Yuen's t and its permutation reject of unpaired samples."""
    generator = np.random.default_rng(n_a * 100 + n_b)
    a, b = draw_a(generator, (PAIRS, n_a)) + shift, draw_b(generator, (PAIRS, n_b))
    return [
        share
        for trim in TRIM.values()
        for share in (t_rejects(of_independent(a, b, trim)), permutation_rejects(a, b, trim, permuted))
    ]


def paired(draw: Draw, n: int) -> list[float]:
    """Return what the paired t, its sign flips, Yuen's paired t and its sign flips reject of independent pairs."""
    generator = np.random.default_rng(n)
    a, b = draw(generator, (PAIRS, n)), draw(generator, (PAIRS, n))
    return [
        share
        for trim in TRIM.values()
        for share in (t_rejects(of_pairs(a, b, trim)), permutation_rejects(a, b, trim, PERMUTED, paired=True))
    ]


def attainable(least: float) -> float:
    """Return the size that a permutation test attains at .05: the largest multiple of its least p up to it."""
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
        table(f"Power at a shift that Welch's t shows with .8 on normal scores, {name}", ("n", *tests), rows)
    rows = ((f"{n}, {n}", *unpaired(normal, collapsing(0.3), n, n, 0.0, POWERED)) for n in (5, 10, 20))
    table("Power where nothing but 30 % collapses of b tells them apart", ("n", *tests), rows)


if __name__ == "__main__":
    main()
