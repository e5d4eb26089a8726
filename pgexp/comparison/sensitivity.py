"""How performance depends on hyper-parameters: over each factor's values, over pairs of factors, and as one number."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.factors import factors, levels, option_values
from pgexp.comparison.judging import judged
from pgexp.statistics.blocks import block_interval, mean_of_rows
from pgexp.statistics.intervals import FloatArray
from pgexp.statistics.tuning import hyperparameter_sensitivity as gained_by_tuning

COLUMNS: Final = ("environment", "factor", "value", "configurations", "n", "failed", "score", "low", "high", "kind")
INTERACTION_COLUMNS: Final = (
    *("environment", "factor_x", "value_x", "factor_y", "value_y", "configurations", "n", "failed", "score"),
)
TUNING_COLUMNS: Final = (
    *("method", "environments", "settings", "tuned", "fixed", "sensitivity", "low", "high", "setting"),
)


def sensitivity(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score over the values of each factor, COLUMNS, two rows a value: kind "marginal" and "best".

    A factor is a parameter in which configurations of one environment differ (`factors.factors`); one that only
    an option has, ``baseline.lr`` say, is compared within it.

    marginal is the mean over all configurations of the value, whatever else they differ in, each counting alike: what
    the value is worth where nothing else is tuned. best is the configuration of the value with the highest mean: what
    it is worth where all else is tuned to it. The seeds that chose it report it, so best is overstated, the more so
    the more configurations there are and the fewer seeds. Where each value has one configuration, nothing else was
    tuned: best would say what marginal does, and has no rows.

    low and high are the 95 % interval over seeds, n of which there are, absent where a configuration has one only.
    Equal seeds are blocks (`blocks.block_interval`). Runs that failed are judged as the worst score of their
    environment (`judging.judged`); `failed` says how many.
    """
    rows = [row for environment, own in _environments(runs) for row in _of_environment(environment, own)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def interaction(runs: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Return the mean score over the pairs of values of two factors, INTERACTION_COLUMNS; a missing cell has no row.

    Each configuration of a cell counts alike. Scores are those of `sensitivity`; an environment in which one of the
    two is no factor has no rows.
    """
    rows = [row for environment, own in _environments(runs) for row in _cells(environment, own, x, y)]
    return pd.DataFrame(rows, columns=list(INTERACTION_COLUMNS))


def hyperparameter_sensitivity(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return how much each method gains from being tuned in each environment anew, TUNING_COLUMNS, a row a method.

    A method is one combination of the values of the factors `by`; its settings are the values of all others.
    `sensitivity` = `tuned` - `fixed`, in scores normalised by environment (`tuning.hyperparameter_sensitivity`, Adkins,
    Bowling & White 2024). `setting` is the one that is best on average. Settings that not every environment has are
    left out; where none is left, the numbers are absent. With one environment there is nothing to tell: no rows.
    """
    environments = dict(_environments(runs))
    rows = pd.concat(environments.values()) if environments else runs.iloc[:0]
    if len(environments) < 2:
        return pd.DataFrame(columns=list(TUNING_COLUMNS))
    tables = {environment: _pivot(own) for environment, own in environments.items()}
    described = rows.drop_duplicates("configuration").set_index("configuration")
    method = option_values(described, by)
    setting = option_values(described, [name for name in factors(rows) if name not in by])
    found = [
        {"method": name, "environments": len(tables), **_tuning(list(tables.values()), setting[method == name])}
        for name in method.unique()
    ]
    return pd.DataFrame(found, columns=list(TUNING_COLUMNS))


def sensitivity_notes(runs: pd.DataFrame) -> list[str]:
    """Return what the reader of a sensitivity must know: how it is measured, and which runs failed or are too few."""
    frame = sensitivity(runs)
    if frame.empty:
        return ["No parameter differs between configurations of one environment, so there is no sensitivity to show."]
    tuned = bool((frame["kind"] == "best").any())
    notes = ["best: the other factors tuned by the same seeds that report it, and hence overstated."] if tuned else []
    rows = judged(runs)
    if failed := int(rows["failed"].sum()):
        notes.append(f"{failed} of {len(rows)} runs failed, and are judged as the worst score of their environment.")
    if alone := int(frame["low"].isna().sum()):
        notes.append(f"No interval at {alone} of {len(frame)} points, where a configuration has a single seed.")
    if flat := int((frame["low"] == frame["high"]).sum()):
        why = "where every seed is judged alike: other scores may be possible"
        notes.append(f"An interval without width at {flat} of {len(frame)} points, {why}.")
    return notes


def _environments(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for environment, own in judged(runs).groupby("environment", sort=False, observed=True):
        yield str(environment), own


def _of_environment(environment: str, own: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for factor in factors(own):
        by_value = list(levels(own, factor))
        is_alone = all(rows["configuration"].nunique() == 1 for _, rows in by_value)
        for value, rows in by_value:
            for kind, chosen in {"marginal": rows, **({} if is_alone else {"best": _best(rows)})}.items():
                heading = {"environment": environment, "factor": factor, "value": value, "kind": kind}
                yield heading | _size(chosen) | _estimate(_table(chosen))


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the configuration with the highest mean."""
    means = rows.groupby("configuration", sort=False, observed=True)["score"].mean()
    return rows[rows["configuration"] == means.idxmax()]


def _cells(environment: str, own: pd.DataFrame, x: str, y: str) -> Iterator[dict[str, Any]]:
    if not {x, y} <= set(factors(own)):
        return
    for (value_x, column), (value_y, line) in product(levels(own, x), levels(own, y)):
        cell = column[column.index.isin(line.index)]
        if not cell.empty:
            heading = {"factor_x": x, "value_x": value_x, "factor_y": y, "value_y": value_y}
            score = mean_of_rows(_table(cell))
            yield {"environment": environment, **heading, **_size(cell), "score": score}


def _estimate(table: FloatArray) -> dict[str, float]:
    low, high = block_interval(table) or (np.nan, np.nan)
    return {"score": mean_of_rows(table), "low": low, "high": high}


def _size(rows: pd.DataFrame) -> dict[str, int]:
    sizes = {"configurations": rows["configuration"].nunique(), "n": rows["seed"].nunique()}
    return sizes | {"failed": int(rows["failed"].sum())}


def _table(rows: pd.DataFrame) -> FloatArray:
    """Return the scores ``[configurations, seeds]``, NaN where a configuration lacks a seed."""
    return _pivot(rows).to_numpy(float)


def _pivot(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot_table("score", "configuration", "seed", sort=False, observed=True)


def _tuning(tables: Sequence[pd.DataFrame], setting: "pd.Series[str]") -> dict[str, Any]:
    """Return a method's row from the scores of each environment, and its configurations' settings."""
    own = [setting[setting.index.isin(table.index)] for table in tables]
    common = [name for name in own[0].unique() if all(name in set(each) for each in own)]
    if not common:
        return {"settings": 0}
    firsts = [each.drop_duplicates() for each in own]
    keyed = [pd.Series(each.index, index=each.to_numpy()).loc[common] for each in firsts]
    places = [table.index.get_indexer(pd.Index(each)).tolist() for table, each in zip(tables, keyed, strict=True)]
    found = gained_by_tuning([table.to_numpy(float) for table in tables], places)
    low, high = found.interval or (np.nan, np.nan)
    scores = {"tuned": found.tuned, "fixed": found.fixed, "sensitivity": found.sensitivity}
    return {"settings": len(common), **scores, "low": low, "high": high, "setting": common[found.best]}
