"""Simulates how often scores of which none collapsed are said to hold one that did.

    python -m analysis.comparing.collapse_fence

Of 50,000 configurations with n scores a row (Monte Carlo error .002 at most), normal or with a long lower tail: the
share of which `pgexp.comparison.collapse.are_collapsed` flags a score by the outer fence alone, as where no first
evaluation is known, and by both its conditions, where first evaluations lie so many deviations below the mean score.
"""

import math

import numpy as np
import pandas as pd

from analysis.comparing.seeds import Draw, normal, table
from pgexp.comparison.collapse import are_collapsed
from pgexp.comparison.frames import METRIC_COLUMNS
from pgexp.schema import names
from pgexp.statistics.estimates import FloatArray

CONFIGURATIONS = 50_000
LEARNT = (2, 4, 6, 10)
"""Deviations from the first evaluation up to the mean score."""


def tailed(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw lognormal scores turned upside down, of mean 0 and deviation 1: a few lie far below the rest."""
    return (math.exp(0.5) - generator.lognormal(size=shape)) / math.sqrt((math.e - 1) * math.e)


def first_evaluations(scored: pd.DataFrame, learnt: float) -> pd.DataFrame:
    """Return the first evaluation of each run, so many deviations below the mean score."""
    run_ids = scored["run_id"]
    return pd.DataFrame({"run_id": run_ids, "metric": names.EVALUATION_RETURN, "steps": 0, "value": -learnt})


def row(name: str, draw: Draw, n: int) -> list[object]:
    """Return a row of the table."""
    scores = draw(np.random.default_rng(n), (CONFIGURATIONS, n))
    configurations = np.repeat(np.arange(CONFIGURATIONS), n)
    scored = pd.DataFrame(
        {"run_id": np.arange(scores.size), "configuration": configurations, names.FINAL_RETURN: scores.ravel()}
    )
    unknown = pd.DataFrame(columns=list(METRIC_COLUMNS))
    starts = (unknown, *(first_evaluations(scored, float(learnt)) for learnt in LEARNT))
    flagged = (are_collapsed(scored, metrics).to_numpy().reshape(scores.shape) for metrics in starts)
    return [name, n, *(float(each.any(axis=-1).mean()) for each in flagged)]


def main() -> None:
    """Print the table."""
    head = ("scores", "n", "fence alone", *(f"and learnt {learnt}" for learnt in LEARNT))
    draws = {"normal": normal, "lognormal, upside down": tailed}
    rows = (row(name, draw, n) for name, draw in draws.items() for n in (4, 5, 10, 20, 30))
    table("Configurations with a score said to have collapsed", head, rows)


if __name__ == "__main__":
    main()
