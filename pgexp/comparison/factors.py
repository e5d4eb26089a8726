"""The parameters in which configurations differ, and the values that each of them has."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.labels import natural
from pgexp.comparison.rows import PARAM
from pgexp.comparison.store import ComparisonError

NULL: Final = "null"
_NO_PARAMETERS: Final = ("seed", "env.id")  # what is replicated over, and the task
_TASK: Final = ("env", "env.id")


def factors(runs: pd.DataFrame) -> list[str]:
    """Return the names of the parameters in which configurations differ that share environment and option.

    Options stand before what belongs to them. ``optimizer.lr`` is no factor where it differs only as each of the
    optimizers has its own: the average over all runs of one optimizer's default rate would show the optimizer's
    effect, and call it the rate's; and the optimizer tells such configurations apart already. ``baseline.lr``, which
    baseline=value alone has, is one where configurations of that baseline differ in it. The environment is the task,
    and the seed a replication: neither is a factor, nor is what differs between environments alone.
    """
    found = {name for _, own in runs.groupby("environment", sort=False, observed=True) for name in _differing(own)}
    return sorted(found - set(_TASK), key=lambda name: (name.count("."), name))


def levels(runs: pd.DataFrame, factor: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield each value of a factor with its runs: numbers by size, texts in order, "null" last.

    Runs of an option that does not have the factor are of none of its values.
    """
    first = _by_configuration(runs)
    having = [texts.index for texts in _within_options(first, factor) if (texts != NULL).any()]
    configurations = [key for keys in having for key in keys]
    own = runs[runs["configuration"].isin(configurations)]
    values = own[PARAM + factor].astype(object)
    values = values.where(values.notna(), NULL)
    known = [value for value in values.unique() if value != NULL]
    is_number = all(isinstance(value, int | float) for value in known)
    ordered = sorted(known) if is_number else sorted(known, key=lambda value: natural(str(value)))
    for value in [*ordered, *([NULL] if (values == NULL).any() else [])]:
        yield value, own[values == value]


def numbers(values: "pd.Series[Any]") -> "pd.Series[float] | None":
    """Return a factor's values as numbers; None where one of them is none, and they are categories."""
    if values.map(lambda value: isinstance(value, bool | np.bool_)).any():
        return None
    found = pd.to_numeric(values.astype(str), errors="coerce")
    return None if found.isna().any() else found.astype(float)


def option_values(runs: pd.DataFrame, names: Sequence[str]) -> "pd.Series[str]":
    """Return for each run what some parameters are set to, as ``baseline=value optimizer.lr=0.01``.

    ComparisonError for a name that no run has as a parameter.
    """
    known = _parameters(runs)
    for name in names:
        if name not in known:
            nearest = get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
            raise ComparisonError(f"there is no parameter {name!r}: the nearest here are {', '.join(nearest)}")
    columns = [name + "=" + runs[PARAM + name].astype(object).map(written) for name in names]
    texts = [" ".join(parts) for parts in zip(*columns, strict=True)] if columns else ""
    return pd.Series(texts, index=runs.index, dtype=object)


def written(value: Any) -> str:
    """Return a parameter's value as a command would say it; an absent one is null."""
    if pd.isna(value):
        return NULL
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parameters(runs: pd.DataFrame) -> list[str]:
    names = [str(column).removeprefix(PARAM) for column in runs if str(column).startswith(PARAM)]
    return [name for name in names if name not in _NO_PARAMETERS]


def _differing(runs: pd.DataFrame) -> list[str]:
    first = _by_configuration(runs)
    return [name for name in _parameters(runs) if any(texts.nunique() > 1 for texts in _within_options(first, name))]


def _by_configuration(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the parameters of each configuration, as texts."""
    first = runs.drop_duplicates("configuration").set_index("configuration")
    return first[[PARAM + name for name in _parameters(runs)]].astype(object).map(written)


def _within_options(first: pd.DataFrame, name: str) -> "list[pd.Series[str]]":
    """Return a parameter's texts in each group of configurations that agree in all options it may belong to."""
    parts = name.split(".")
    above = [PARAM + ".".join(parts[:length]) for length in range(1, len(parts))]
    options = [column for column in above if column in first and column.removeprefix(PARAM) not in _TASK]
    texts = first[PARAM + name]
    return [texts.loc[rows.index] for _, rows in first.groupby(options)] if options else [texts]
