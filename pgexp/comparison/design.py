"""The design of an experiment, found from its runs: what was varied, over which values, with which seeds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pandas as pd

from pgexp.comparison.counting import exclusions, missing_runs
from pgexp.comparison.factors import factors
from pgexp.comparison.labels import called, natural, option_of
from pgexp.comparison.rows import PARAM

LISTED_CELLS: Final = 10_000  # beyond so many, cells are counted and not listed: values were drawn, not crossed

Levels = Mapping[str, Mapping[Any, tuple[Any, ...]]]
"""The values that a factor can have, by the value of the factor that it is an option of, or by None."""


@dataclass(frozen=True)
class Design:
    """What a frame's configurations vary, and how completely."""

    factors: dict[str, tuple[Any, ...]]
    """The column of each factor (`factors.factors`), and its values in order; None last, where it is a value."""
    configurations: pd.DataFrame
    """A row a configuration: environment, configuration, configuration_name, label, n and the factors' columns.

    The label calls it by its factors alone, so it is the same in every environment. n is how many seeds count.
    """
    cells: int
    """How many there are if the factors are fully crossed, in every environment."""
    missing_cells: pd.DataFrame
    """Those that no configuration has, environment and factors; empty where there are too many to list."""
    missing_runs: pd.DataFrame
    """Seeds that other configurations of the environment have: environment, configuration_name, seed."""
    is_paired: bool
    """Whether in each environment the same seeds count in every configuration."""

    @cached_property
    def is_full_factorial(self) -> bool:
        """Whether each combination of the factors' values was trained in every environment.

        A parameter of an option is crossed with the rest only where the option is chosen that has it.
        """
        return len(_distinct(self.configurations, list(self.factors))) == self.cells


def design(runs: pd.DataFrame) -> Design:
    """Return the design of the frame's runs, those that do not count included; seeds are replications, not a factor."""
    found = [PARAM + name for name in factors(runs)]
    table = _configurations(runs, found)
    levels = _levels(table, found)
    own = (_count(levels, name, None) for name in found if option_of(name, found) is None)
    cells = table["environment"].nunique() * math.prod(own)
    return Design(
        factors={name: _values(levels[name]) for name in found},
        configurations=table,
        cells=cells,
        missing_cells=_missing_cells(table, found, levels, listed=cells <= LISTED_CELLS),
        missing_runs=missing_runs(runs),
        is_paired=_is_paired(runs[exclusions(runs) == ""]),
    )


def _configurations(runs: pd.DataFrame, found: list[str]) -> pd.DataFrame:
    keys = ["environment", "configuration", "configuration_name"]
    rows = runs.drop_duplicates("configuration")[[*keys, *found]]
    values = rows[found].astype(object).where(rows[found].notna(), None)
    counted = runs[exclusions(runs) == ""].groupby("configuration").size()
    labels = [called(dict(zip(found, row, strict=True))) for row in values.itertuples(index=False, name=None)]
    heading = rows[keys].assign(label=labels, n=rows["configuration"].map(counted).fillna(0).astype(int))
    return pd.concat([heading, values], axis=1).reset_index(drop=True)


def _levels(table: pd.DataFrame, found: list[str]) -> Levels:
    """Return each factor's values under each value of its option: None alone where the option has no such parameter."""
    levels: dict[str, dict[Any, tuple[Any, ...]]] = defaultdict(dict)
    for factor in found:
        option = option_of(factor, found)
        every = _sorted(table[factor].dropna().unique())
        for value in (None,) if option is None else table[option].unique():
            own = table[factor] if option is None else table.loc[_equal(table[option], value), factor]
            levels[factor][value] = (*(every if own.notna().any() else ()), *((None,) if own.isna().any() else ()))
    return levels


def _equal(column: "pd.Series[Any]", value: Any) -> "pd.Series[bool]":
    return column.isna() if value is None else column == value


def _sorted(values: Iterable[Any]) -> tuple[Any, ...]:
    texts, numbers = ([value for value in values if isinstance(value, str) is is_text] for is_text in (True, False))
    return (*sorted(numbers), *sorted(texts, key=natural))


def _values(levels: Mapping[Any, tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return all values of a factor; None is one only where the parameter can have another instead."""
    known = max(levels.values(), key=len)
    optional = any(None in some[1:] for some in levels.values())
    return (*(value for value in known if value is not None), *((None,) if optional else ()))


def _count(levels: Levels, factor: str, above: Any) -> int:
    """Return how many combinations there are of a factor and of what its values have for parameters."""
    below = [name for name in levels if option_of(name, levels) == factor]
    return sum(math.prod(_count(levels, name, value) for name in below) for value in levels[factor][above])


def _cells(levels: Levels, rest: list[str], cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not rest:
        yield cell
        return
    factor, option = rest[0], option_of(rest[0], levels)
    for value in levels[factor][None if option is None else cell[option]]:
        yield from _cells(levels, rest[1:], cell | {factor: value})


def _missing_cells(table: pd.DataFrame, found: list[str], levels: Levels, listed: bool) -> pd.DataFrame:
    have = _distinct(table, found)
    rows = [
        (environment, *cell.values())
        for environment in table["environment"].unique()
        for cell in (_cells(levels, found, {}) if listed else ())
    ]
    return pd.DataFrame([row for row in rows if row not in have], columns=["environment", *found], dtype=object)


def _distinct(table: pd.DataFrame, found: list[str]) -> set[tuple[Any, ...]]:
    return set(table[["environment", *found]].itertuples(index=False, name=None))


def _is_paired(counted: pd.DataFrame) -> bool:
    seeds = counted.groupby(["environment", "configuration"])["seed"].agg(frozenset)
    return bool((seeds.groupby("environment").nunique() <= 1).all())
