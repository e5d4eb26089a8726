"""Sensitivity of the score to hyper-parameters: over each factor's values, and over pairs of factors."""

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.design import factor_levels, factors
from pgexp.comparison.inclusion import imputed_scores
from pgexp.statistics.intervals import blocked_mean_interval, mean_of_rows
from pgexp.statistics.point_estimates import FloatArray

COLUMNS: Final = ("environment", "factor", "value", "configurations", "n", "failed", "score", "low", "high", "kind")
INTERACTION_COLUMNS: Final = (
    *("environment", "factor_x", "value_x", "factor_y", "value_y", "configurations", "n", "failed", "score"),
)


def sensitivity(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score at each value of each factor, COLUMNS, two rows per value: kind "marginal" and "best".

    A factor is a parameter in which configurations of one environment differ (`design.factors`). A parameter that only
    one option has, for example ``baseline.lr``, is compared within that option.

    marginal is the mean over all configurations with the value, with equal weights: the score if nothing else is tuned.
    best is the configuration with the value and the highest mean: the score if everything else is tuned for it. The
    seeds that chose it also report it, so best is too high, more so with more configurations and fewer seeds. If each
    value has one configuration, best equals marginal and has no rows.

    low and high are the 95 % interval over n seeds, absent if a configuration has one seed. Equal seeds are blocks
    (`blocked_mean_interval`). Runs that failed get the worst score of their environment (`imputed_scores`); `failed` is
    their number.
    """
    rows = [row for environment, own in _by_environment(runs) for row in _rows(environment, own)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def interaction(runs: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Return the mean score at each pair of values of two factors, INTERACTION_COLUMNS; an empty cell has no row.

    The configurations of a cell have equal weights. Scores are those of `sensitivity`. An environment in which one of
    both is not a factor has no rows.
    """
    rows = [row for environment, own in _by_environment(runs) for row in _cells(environment, own, x, y)]
    return pd.DataFrame(rows, columns=list(INTERACTION_COLUMNS))


def _by_environment(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for environment, own in imputed_scores(runs).groupby("environment", sort=False, observed=True):
        yield str(environment), own


def _rows(environment: str, own: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for factor in factors(own):
        by_value = list(factor_levels(own, factor))
        is_only_factor = all(rows["configuration"].nunique() == 1 for _, rows in by_value)
        for value, rows in by_value:
            means = rows.groupby("configuration", sort=False, observed=True)["score"].mean()
            best = {} if is_only_factor else {"best": rows[rows["configuration"] == means.idxmax()]}
            for kind, chosen in {"marginal": rows, **best}.items():
                scores = _scores(chosen)
                low, high = blocked_mean_interval(scores) or (np.nan, np.nan)
                heading = {"environment": environment, "factor": factor, "value": value, "kind": kind}
                yield heading | _sizes(chosen) | {"score": mean_of_rows(scores), "low": low, "high": high}


def _cells(environment: str, own: pd.DataFrame, x: str, y: str) -> Iterator[dict[str, Any]]:
    if not {x, y} <= set(factors(own)):
        return
    for (value_x, column), (value_y, row) in product(factor_levels(own, x), factor_levels(own, y)):
        cell = column[column.index.isin(row.index)]
        if not cell.empty:
            heading = {"factor_x": x, "value_x": value_x, "factor_y": y, "value_y": value_y}
            yield {"environment": environment, **heading, **_sizes(cell), "score": mean_of_rows(_scores(cell))}


def _sizes(rows: pd.DataFrame) -> dict[str, int]:
    sizes = {"configurations": rows["configuration"].nunique(), "n": rows["seed"].nunique()}
    return sizes | {"failed": int(rows["failed"].sum())}


def _scores(rows: pd.DataFrame) -> FloatArray:
    """Return the scores ``[configurations, seeds]``, NaN if a configuration lacks a seed."""
    return rows.pivot_table("score", "configuration", "seed", sort=False, observed=True).to_numpy(float)
