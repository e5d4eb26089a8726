"""What configurations and numbers are called in tables and figures."""

import re
from typing import Final

import pandas as pd

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


def _differences(runs: pd.DataFrame) -> dict[str, str]:
    """Return, by configuration, the parameters (not the seed) in which the frame's configurations differ."""
    columns = [column for column in runs if str(column).startswith("param.") and column != "param.seed"]
    first = runs.groupby("configuration")[columns].first()
    differing = first[[column for column in first if _tells_apart(str(column), first)]]
    return {
        str(key): " ".join(f"{str(name)[6:]}={value}" for name, value in row.items() if pd.notna(value))
        for key, row in differing.to_dict("index").items()
    }


def _tells_apart(column: str, first: pd.DataFrame) -> bool:
    """Return whether configurations differ in a parameter, not just in an option that alone has it.

    ``baseline.lr`` is a parameter of baseline=value; that baseline=none has none goes without saying.
    """
    if first[column].nunique() > 1:
        return True
    parts = column.split(".")
    options = {".".join(parts[:length]) for length in range(2, len(parts))}
    chosen = any(first[option].nunique() > 1 for option in options if option in first)
    return bool(first[column].isna().any()) and bool(first[column].notna().any()) and not chosen
