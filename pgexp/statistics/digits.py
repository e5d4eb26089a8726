"""How a return is written for people."""

import math
from collections.abc import Iterable
from typing import Final

DIGITS: Final = 4  # of a table's largest number
ABSENT: Final = "-"


def written(value: float) -> str:
    """Return a number with the decimals that tell returns of its size apart: 0.731, 9.250, 488.4, 2,619.1."""
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"


def decimals(values: Iterable[float]) -> int:
    """Return how many decimals show four digits of the largest finite number: 1 for 483.3, 3 for 9.871, at most 6."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(max(DIGITS - 1 - math.floor(math.log10(largest)), 0), 6) if largest > 0 else 0


def number(value: float, places: int) -> str:
    """Return a number with so many decimals, thousands apart: 1,234.5; a dash for NaN, and no sign before a zero."""
    if math.isnan(value):
        return ABSENT
    text = f"{value:,.{places}f}"
    return text if float(text.replace(",", "")) else text.removeprefix("-")
