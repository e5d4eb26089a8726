"""Simulated rate of scores that are flagged as collapsed although all come from one distribution.

    python -m analysis.error_rates.collapse_fence

For 50,000 configurations with n scores per row (Monte Carlo error at most .002), normal or with a long lower tail: the
share with a score that `pgexp.comparison.summary.are_collapsed` flags by the outer fence alone, as if no first
evaluation is known, and by both conditions, for first evaluations at some deviations below the mean score.
"""

import math

import numpy as np
import pandas as pd

from analysis.error_rates.samplers import Draw, normal, table
from pgexp.comparison.frames import METRIC_COLUMNS
from pgexp.comparison.summary import are_collapsed
from pgexp.schema import names
from pgexp.statistics.point_estimates import FloatArray

CONFIGURATIONS = 50_000
LEARNED = (2, 4, 6, 10)
"""Deviations from the first evaluation up to the mean score."""


def tailed(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw mirrored lognormal scores of mean 0 and deviation 1: a few are far below the rest."""
    return (math.exp(0.5) - generator.lognormal(size=shape)) / math.sqrt((math.e - 1) * math.e)


def first_evaluations(scored: pd.DataFrame, learned: float) -> pd.DataFrame:
    """Return the first evaluation of each run, `learned` deviations below the mean score."""
    run_ids = scored["run_id"]
    return pd.DataFrame({"run_id": run_ids, "metric": names.EVALUATION_RETURN, "steps": 0, "value": -learned})


def row(name: str, draw: Draw, n: int) -> list[object]:
    """Return a row of the table."""
    scores = draw(np.random.default_rng(n), (CONFIGURATIONS, n))
    configurations = np.repeat(np.arange(CONFIGURATIONS), n)
    scored = pd.DataFrame(
        {"run_id": np.arange(scores.size), "configuration": configurations, names.FINAL_RETURN: scores.ravel()}
    )
    unknown = pd.DataFrame(columns=list(METRIC_COLUMNS))
    starts = (unknown, *(first_evaluations(scored, float(learned)) for learned in LEARNED))
    flagged = (are_collapsed(scored, metrics).to_numpy().reshape(scores.shape) for metrics in starts)
    return [name, n, *(float(each.any(axis=-1).mean()) for each in flagged)]


def main() -> None:
    """Print the table."""
    head = ("scores", "n", "fence alone", *(f"and learned {learned}" for learned in LEARNED))
    draws = {"normal": normal, "lognormal, mirrored": tailed}
    rows = (row(name, draw, n) for name, draw in draws.items() for n in (4, 5, 10, 20, 30))
    table("Configurations with a score flagged as collapsed", head, rows)


if __name__ == "__main__":
    main()
