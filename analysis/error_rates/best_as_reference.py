"""Simulated rate of false differences between equal configurations whose scores chose the reference.

    python -m analysis.error_rates.best_as_reference

Each of k equal configurations is compared with the one with the best interquartile mean, as `pgexp.comparison.pairwise`
does without a reference. For 20,000 experiments per row (Monte Carlo error at most .003): the share in which any of the
k - 1 tests rejects at .05, after Holm's correction for these k - 1, and for all k (k - 1) / 2 pairs that the scores
could have chosen.
"""

from math import comb

import numpy as np

from analysis.error_rates.samplers import DISTRIBUTIONS, Draw, table
from analysis.error_rates.size_and_power import ALPHA
from pgexp.comparison.pairwise import holm_in_family
from pgexp.statistics.point_estimates import FloatArray, interquartile_mean
from pgexp.statistics.two_sample_tests import paired_t, welch_t

SHAPES = ((5, 5), (10, 5), (10, 20), (30, 10))
EXPERIMENTS = 20_000


def error_rate(p: FloatArray, family: int) -> float:
    """Return the share of experiments in which any of the tests ``[EXPERIMENTS, k - 1]`` of a family rejects."""
    return float(np.mean([min(holm_in_family(own, family)) <= ALPHA for own in p.tolist()]))


def row(name: str, draw: Draw, k: int, n: int) -> list[object]:
    """Return a row of the table."""
    scores = draw(np.random.default_rng(k * 100 + n), (EXPERIMENTS, k, n))
    best = interquartile_mean(scores).argmax(axis=-1)
    others = scores[np.arange(k) != best[:, None]].reshape(EXPERIMENTS, k - 1, n)
    reference = np.broadcast_to(scores[np.arange(EXPERIMENTS), best][:, None], others.shape)
    tests = (test(others, reference).p for test in (paired_t, welch_t))
    return [name, k, n, *(error_rate(p, family) for p in tests for family in (k - 1, comb(k, 2)))]


def main() -> None:
    """Print the table."""
    head = ("scores", "k", "n", "paired t, k - 1", "all pairs", "Welch's t, k - 1", "all pairs")
    rows = (row(name, draw, *shape) for name, draw in DISTRIBUTIONS.items() for shape in SHAPES)
    table("Any false difference from the best of k equal configurations", head, rows)


if __name__ == "__main__":
    main()
