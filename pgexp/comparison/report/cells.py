"""A table of text, and how the columns of a frame become its cells."""

from dataclasses import dataclass, field
from itertools import chain
from math import isnan
from typing import Any, Final

import pandas as pd

from pgexp.comparison.labels import thousands
from pgexp.comparison.report.numbers import ABSENT, with_intervals
from pgexp.statistics.digits import decimals

INTERVAL: Final = "[95\N{NO-BREAK SPACE}%]"
TOLERANCE: Final = "tolerance interval"
NAMES: Final = ("configuration", "less")
Cells = list[str]


@dataclass(frozen=True)
class TextTable:
    """A table of text: its columns by heading, all of one length; those in `names` hold names, the others numbers."""

    title: str
    columns: dict[str, Cells]
    names: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, row by row."""
        return list(zip(*self.columns.values(), strict=True))


def given(columns: dict[str, Cells]) -> dict[str, Cells]:
    """Return the columns that hold anything; the heading of one that holds intervals says so."""
    kept = {heading: cells for heading, cells in columns.items() if any(cell.strip() != ABSENT for cell in cells)}
    return {
        f"{heading} {INTERVAL}" if _has_intervals(heading, cells) else heading: cells for heading, cells in kept.items()
    }


def _has_intervals(heading: str, cells: Cells) -> bool:
    return heading not in (*NAMES, TOLERANCE) and any(cell.strip().endswith("]") for cell in cells)


def estimates(rows: pd.DataFrame, name: str, places: int | None = None, ends: tuple[str, str] | None = None) -> Cells:
    """Return a column with its intervals, whose ends are the columns name_low and name_high, or those given."""
    low, high = ends or (f"{name}_low", f"{name}_high")
    values, lows, highs = floats(rows, name, low, high)
    digits = decimals(chain(values, lows, highs)) if places is None else places
    return with_intervals(values, lows, highs, digits)


def floats(rows: pd.DataFrame, *columns: str) -> list["pd.Series[float]"]:
    """Return columns as numbers."""
    return [rows[column].astype(float) for column in columns]


def span(value: float, low: float, high: float) -> str:
    """Return ``51k [40k, 60k]``; an end that no seed tells is open."""
    if isnan(low) and isnan(high):
        return thousands(value)
    least, most = (ABSENT if isnan(end) else thousands(end) for end in (low, high))
    return f"{thousands(value)} [{least}, {most}]"


def texts(column: "pd.Series[Any]") -> Cells:
    """Return a column as it is, with a dash where it has no value."""
    return [ABSENT if pd.isna(value) else str(value) for value in column]


def listed(methods: "pd.Series[str]") -> str:
    """Return the methods in use, each once; the empty text where there is none."""
    return "; ".join(dict.fromkeys(str(method) for method in methods.dropna() if method))
