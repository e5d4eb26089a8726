"""Simulated bias of the best of K configurations on the seeds that chose it, and of its estimate.

    python -m analysis.error_rates.selection_bias

In units of sigma / sqrt(n), over 2,000 comparisons per row: the bias of the best configuration's own mean, its maximum
on normal scores (all configurations equal), the mean of `selection_bias` and its root mean square error, and the bias
of a mean of n fresh seeds with its Monte Carlo error. A second table has configurations of the same seeds, which may be
lucky in all of them, by the seed's share of the variance.
"""

import math

import numpy as np

from analysis.error_rates.samplers import DISTRIBUTIONS, Draw, table
from pgexp.statistics.selection_bias import expected_maximum, selection_bias

COMPARISONS = 2_000
SHAPES = ((4, 5), (10, 5), (10, 10), (30, 5))
MOMENTS = {"normal": (0.0, 1.0), "lognormal": (math.exp(0.5), math.sqrt((math.e - 1) * math.e))}
"""The mean and the deviation of each distribution."""


def truths(kind: str, count: int, generator: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the true means of `count` configurations, in standard errors of their estimates: ``[COMPARISONS, K]``."""
    if kind == "one 4 better":
        return np.tile(np.where(np.arange(count) == 0, 4.0, 0.0), (COMPARISONS, 1))
    return generator.normal(size=(COMPARISONS, count)) * {"equal": 0, "differ by 1": 1, "differ by 2": 2}[kind]


def row(draw: Draw, mean: float, deviation: float, kind: str, count: int, n: int) -> list[object]:
    """Return a row of the table."""
    generator = np.random.default_rng(count * n)
    true = truths(kind, count, generator)
    errors = (draw(generator, (2, COMPARISONS, count, n)) - mean) / deviation * math.sqrt(n)
    scores, fresh = true[..., None] + errors[0], true + errors[1].mean(axis=-1)
    means = scores.mean(axis=-1)
    best = means.argmax(axis=-1)
    at = np.arange(COMPARISONS)
    bias = (means - true)[at, best]
    estimates = np.array([selection_bias(list(each)) for each in scores], dtype=float)
    fresh_bias = (fresh - true)[at, best]
    error = math.sqrt(float(((estimates - bias.mean()) ** 2).mean()))
    most, fresh_error = expected_maximum(count), float(fresh_bias.std() / math.sqrt(COMPARISONS))
    numbers = (float(bias.mean()), most, float(estimates.mean()), error, float(fresh_bias.mean()), fresh_error)
    return [kind, count, n, *(f"{number:.2f}" for number in numbers)]


def shared_row(share: float, count: int, n: int) -> list[object]:
    """Return a row of the table of equally good configurations that share a part of their variance over seeds."""
    generator = np.random.default_rng(count * n)
    luck, own = generator.normal(size=(COMPARISONS, 1, n)), generator.normal(size=(COMPARISONS, count, n))
    scores = math.sqrt(n) * (math.sqrt(share) * luck + math.sqrt(1 - share) * own)
    bias = float(scores.mean(axis=-1).max(axis=-1).mean())
    estimates = [
        np.array([selection_bias(list(each), paired) for each in scores], dtype=float) for paired in (True, False)
    ]
    return [f"{share:g}", count, n, f"{bias:.2f}", *(f"{each.mean():.2f}" for each in estimates)]


def main() -> None:
    """Print the tables."""
    head = ("true means", "K", "n", "bias", "c_K", "estimate", "error", "fresh seeds", "its error")
    for name, (mean, deviation) in MOMENTS.items():
        kinds = ("equal", "differ by 1", "differ by 2", "one 4 better")
        rows = (row(DISTRIBUTIONS[name], mean, deviation, kind, *shape) for kind in kinds for shape in SHAPES)
        table(f"The best of K configurations, {name} scores", head, rows)
    alike = (shared_row(share, *shape) for share in (0.0, 0.5, 0.9) for shape in SHAPES[1:3])
    columns = ("shared", "K", "n", "bias", "estimate, paired", "estimate, not paired")
    table("The best of K equal configurations of the same seeds", columns, alike)


if __name__ == "__main__":
    main()
