"""Experimental design of a frame of runs: factors, their levels, completeness and pairing of seeds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.inclusion import exclusion_reasons, missing_runs
from pgexp.comparison.run_frame import PARAM, join_parameters, natural_key, option_of
from pgexp.schema.errors import UserError

NULL: Final = "null"
MAX_LISTED_CELLS: Final = 10_000  # more cells are counted but not listed: values were sampled, not crossed
_ENVIRONMENT: Final = ("env", "env.id")
_NO_PARAMETERS: Final = ("seed", "env.id")

Levels = Mapping[str, Mapping[Any, tuple[Any, ...]]]
"""The values of a factor, by the value of the factor that it is an option of, or by None."""


@dataclass(frozen=True)
class Design:
    """The factors of a frame's configurations, and their completeness."""

    factors: dict[str, tuple[Any, ...]]
    """The column of each factor (`factors`) and its values in order, with None last if it is a value."""
    configurations: pd.DataFrame
    """A row per configuration: environment, configuration, configuration_name, label, n and the factors' columns.

    The label consists of the factors only, so it is the same in every environment. n is the number of seeds that count.
    """
    cells: int
    """The number of configurations of a full factorial design in every environment."""
    missing_cells: pd.DataFrame
    """Cells without a configuration, environment and factors; empty if there are too many to list."""
    missing_runs: pd.DataFrame
    """Seeds that other configurations of the environment have: environment, configuration_name, seed."""
    is_paired: bool
    """Whether in each environment the same seeds count in every configuration."""

    @cached_property
    def is_full_factorial(self) -> bool:
        """Whether each combination of the factors' values was trained in every environment.

        A parameter of an option is crossed with the rest only for the option that has it.
        """
        return len(_distinct(self.configurations, list(self.factors))) == self.cells


def design(runs: pd.DataFrame) -> Design:
    """Return the design of all runs of the frame; seeds are replications, not a factor."""
    found = [PARAM + name for name in factors(runs)]
    counted = runs[exclusion_reasons(runs) == ""]
    table = _configurations(runs, counted, found)
    levels = _levels(table, found)
    top = [name for name in found if option_of(name, found) is None]
    cells = table["environment"].nunique() * math.prod(_count(levels, name, None) for name in top)
    seeds = counted.groupby(["environment", "configuration"])["seed"].agg(frozenset)
    return Design(
        factors={name: _values(levels[name]) for name in found},
        configurations=table,
        cells=cells,
        missing_cells=_missing_cells(table, found, levels, listed=cells <= MAX_LISTED_CELLS),
        missing_runs=missing_runs(runs),
        is_paired=bool((seeds.groupby("environment").nunique() <= 1).all()),
    )


def factors(runs: pd.DataFrame) -> list[str]:
    """Return the names of the parameters that differ between configurations with equal environment and options.

    Options come before their parameters. ``optimizer.lr`` is not a factor if it differs only because each optimizer has
    its own default: its marginal means would show the optimizer's effect. ``baseline.lr``, which only baseline=value
    has, is a factor if configurations with that baseline differ in it. Environment and seed are not factors, nor is
    anything that differs only between environments.
    """
    found: set[str] = set()
    for _, own in runs.groupby("environment", sort=False, observed=True):
        first = _by_configuration(own)
        found |= {
            name for name in _parameters(own) if any(texts.nunique() > 1 for texts in _within_options(first, name))
        }
    return sorted(found - set(_ENVIRONMENT), key=lambda name: (name.count("."), name))


def factor_levels(runs: pd.DataFrame, factor: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield each value of a factor with its runs: numbers by size, texts in order, "null" last.

    Runs of an option that does not have the factor belong to none of its values.
    """
    having = [texts.index for texts in _within_options(_by_configuration(runs), factor) if (texts != NULL).any()]
    own = runs[runs["configuration"].isin([key for keys in having for key in keys])]
    values = own[PARAM + factor].astype(object)
    values = values.where(values.notna(), NULL)
    known = [value for value in values.unique() if value != NULL]
    is_number = all(isinstance(value, int | float) for value in known)
    ordered = sorted(known) if is_number else sorted(known, key=lambda value: natural_key(str(value)))
    for value in [*ordered, *([NULL] if (values == NULL).any() else [])]:
        yield value, own[values == value]


def numeric(values: "pd.Series[Any]") -> "pd.Series[float] | None":
    """Return a factor's values as numbers; None if one is not a number, so that they are categories."""
    if values.map(lambda value: isinstance(value, bool | np.bool_)).any():
        return None
    found = pd.to_numeric(values.astype(str), errors="coerce")
    return None if found.isna().any() else found.astype(float)


def parameter_texts(runs: pd.DataFrame, names: Sequence[str]) -> "pd.Series[str]":
    """Return each run's values of some parameters, as ``baseline=value optimizer.lr=0.01``.

    Raises UserError if no run has the parameter.
    """
    known = _parameters(runs)
    for name in names:
        if name not in known:
            nearest = get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
            raise UserError.at("--by", f"unknown parameter {name!r}. Did you mean {', '.join(nearest)}?")
    columns = [name + "=" + runs[PARAM + name].astype(object).map(format_value) for name in names]
    texts = [" ".join(parts) for parts in zip(*columns, strict=True)] if columns else ""
    return pd.Series(texts, index=runs.index, dtype=object)


def format_value(value: Any) -> str:
    """Return a parameter's value as in a command; null if it is absent."""
    if pd.isna(value):
        return NULL
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parameters(runs: pd.DataFrame) -> list[str]:
    names = [str(column).removeprefix(PARAM) for column in runs if str(column).startswith(PARAM)]
    return [name for name in names if name not in _NO_PARAMETERS]


def _by_configuration(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the parameters of each configuration as texts."""
    first = runs.drop_duplicates("configuration").set_index("configuration")
    return first[[PARAM + name for name in _parameters(runs)]].astype(object).map(format_value)


def _within_options(first: pd.DataFrame, name: str) -> "list[pd.Series[str]]":
    """Return a parameter's texts in each group of configurations with equal options above the parameter."""
    parts = name.split(".")
    above = [PARAM + ".".join(parts[:length]) for length in range(1, len(parts))]
    options = [column for column in above if column in first and column.removeprefix(PARAM) not in _ENVIRONMENT]
    texts = first[PARAM + name]
    return [texts.loc[rows.index] for _, rows in first.groupby(options)] if options else [texts]


def _configurations(runs: pd.DataFrame, counted: pd.DataFrame, found: list[str]) -> pd.DataFrame:
    keys = ["environment", "configuration", "configuration_name"]
    rows = runs.drop_duplicates("configuration")[[*keys, *found]]
    values = rows[found].astype(object).where(rows[found].notna(), None)
    n = rows["configuration"].map(counted.groupby("configuration").size()).fillna(0).astype(int)
    labels = [join_parameters(dict(zip(found, row, strict=True))) for row in values.itertuples(index=False, name=None)]
    return pd.concat([rows[keys].assign(label=labels, n=n), values], axis=1).reset_index(drop=True)


def _levels(table: pd.DataFrame, found: list[str]) -> Levels:
    """Return each factor's values under each value of its option: only None if the option lacks the parameter."""
    levels: dict[str, dict[Any, tuple[Any, ...]]] = defaultdict(dict)
    for factor in found:
        option = option_of(factor, found)
        every = _sorted(table[factor].dropna().unique())
        for value in (None,) if option is None else table[option].unique():
            own = table[factor]
            if option is not None:
                own = own[table[option].isna() if value is None else table[option] == value]
            levels[factor][value] = (*(every if own.notna().any() else ()), *((None,) if own.isna().any() else ()))
    return levels


def _sorted(values: Iterable[Any]) -> tuple[Any, ...]:
    texts, numbers = ([value for value in values if isinstance(value, str) is is_text] for is_text in (True, False))
    return (*sorted(numbers), *sorted(texts, key=natural_key))


def _values(levels: Mapping[Any, tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return all values of a factor; None is one only if the parameter can have another value instead."""
    known = max(levels.values(), key=len)
    optional = any(None in some[1:] for some in levels.values())
    return (*(value for value in known if value is not None), *((None,) if optional else ()))


def _count(levels: Levels, factor: str, above: Any) -> int:
    """Return the number of combinations of a factor's values and the parameters of these values."""
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
