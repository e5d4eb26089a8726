"""What configurations and numbers are called in tables and figures."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import pandas as pd

from pgexp.comparison.rows import PARAM

NUMBER: Final = re.compile(r"(\d+\.?\d*(?:e[+-]?\d+)?)")


def configuration_names(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return a name for each run's configuration that no other configuration in the frame bears.

    Within one sweep it is the recorded name, which says what differs there. The recorded names of several
    sweeps do not fit together: there it is made of the parameters in which the frame's configurations differ.
    Where that does not tell two apart either, the beginning of the configuration's key is added.
    """
    called, keys = runs["configuration_name"], runs["configuration"]
    if runs["sweep"].isna().any() or runs["sweep"].nunique() > 1:
        differences = keys.map(_differences(runs))
        called = differences.mask(differences == "", called)
    called = called.groupby(keys).transform("first")
    shared = keys.groupby(called).transform("nunique") > 1
    return called.mask(shared | (called == ""), (called + " " + keys.str[:6]).str.strip())


def natural(text: str) -> tuple[str | float, ...]:
    """Return a sort key that orders the numbers in texts by size: n=9 before n=10, 3e-4 before 0.001."""
    parts = NUMBER.split(text)  # text, number, text, ...: the same kind stands at the same place of every key
    return tuple(float(part) if place % 2 else part for place, part in enumerate(parts))


def thousands(value: float, digits: int = 3) -> str:
    """Return a number of steps in short, rounded to so many digits: 0, 500, 50k, 1.25M."""
    value = float(f"{value:.{digits}g}")
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def differing(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the parameters (not the seed) that tell the frame's configurations apart: a row a configuration.

    An option's own parameter is among them only where it varies: ``baseline.lr`` is a parameter of baseline=value;
    that baseline=none has none goes without saying.
    """
    columns = [str(column) for column in runs if str(column).startswith(PARAM) and column != f"{PARAM}seed"]
    first = runs.groupby("configuration", sort=False)[columns].first()
    varying = {name for name in columns if first[name].nunique() > 1}
    partial = {name for name in columns if first[name].isna().any() and first[name].notna().any()}
    kept = [name for name in columns if name in varying or (name in partial and option_of(name, varying) is None)]
    return first[kept]


def option_of(column: str, among: Collection[str]) -> str | None:
    """Return the nearest option that a parameter belongs to, of some columns: param.baseline of param.baseline.lr."""
    parts = column.split(".")
    above = (".".join(parts[:length]) for length in range(len(parts) - 1, 1, -1))
    return next((option for option in above if option in among), None)


def called(parameters: Mapping[str, Any]) -> str:
    """Return ``lr=0.1 gamma=0.9``: a configuration by those of its parameters that it has."""
    return " ".join(f"{name.removeprefix(PARAM)}={value}" for name, value in parameters.items() if pd.notna(value))


def _differences(runs: pd.DataFrame) -> dict[str, str]:
    """Return, by configuration, the parameters in which the frame's configurations differ."""
    rows = differing(runs).to_dict("index")
    return {str(key): called({str(name): value for name, value in row.items()}) for key, row in rows.items()}
