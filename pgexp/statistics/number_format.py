"""Text of returns and other numbers for people."""

import math
from collections.abc import Iterable
from typing import Final

DIGITS: Final = 4  # of a table's largest number
ABSENT: Final = "-"


def format_number(value: float) -> str:
    """Return a return with the decimals that suit its size: 0.731, 9.250, 488.4, 2,619.1."""
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"


def format_decimal(value: float, places: int) -> str:
    """Return a number with this many decimals and thousands separators: 1,234.5; a dash for NaN, no sign before 0."""
    if math.isnan(value):
        return ABSENT
    text = f"{value:,.{places}f}"
    return text if float(text.replace(",", "")) else text.removeprefix("-")


def decimal_places(values: Iterable[float]) -> int:
    """Return how many decimals show four digits of the largest finite number: 1 for 483.3, 3 for 9.871, at most 6."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(max(DIGITS - 1 - math.floor(math.log10(largest)), 0), 6) if largest > 0 else 0


def short_number(value: float, digits: int = 3) -> str:
    """Return a number of steps with this many digits and a unit: 0, 500, 50k, 1.25M."""
    value = float(f"{value:.{digits}g}")
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
