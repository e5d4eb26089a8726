"""Numbers as a report prints them: a true minus, and intervals that line up."""

import math
from collections.abc import Iterable
from typing import Final

from pgexp.statistics.digits import decimals, number

MINUS: Final = "\N{MINUS SIGN}"
PAD: Final = "\N{FIGURE SPACE}"  # as wide as a digit
ABSENT: Final = "\N{EN DASH}"
INFINITY: Final = "\N{INFINITY}"


def typeset(value: float, places: int) -> str:
    """Return `digits.number` in signs that print: the terminal, whose text is copied into commands, has plain ones."""
    return ABSENT if math.isnan(value) else number(value, places).replace("-", MINUS).replace("inf", INFINITY)


def with_intervals(values: Iterable[float], lows: Iterable[float], highs: Iterable[float], places: int) -> list[str]:
    """Return a column of ``483.3 [470.1, 490.0]``, its intervals padded to one width; without one, the number alone."""
    rows = list(zip(values, lows, highs, strict=True))
    texts = [[typeset(part, places) for part in row] for row in rows]
    given = [not (math.isnan(low) or math.isnan(high)) for _, low, high in rows]
    widths = [max((len(text[end]) for text, has in zip(texts, given, strict=True) if has), default=0) for end in (1, 2)]
    nothing = PAD * (sum(widths) + 4) if any(given) else ""
    return [
        f"{value} [{low.rjust(widths[0], PAD)}, {high.rjust(widths[1], PAD)}]" if has else value + nothing
        for (value, low, high), has in zip(texts, given, strict=True)
    ]


def probability(value: float, places: int = 4) -> str:
    """Return a p value or share as journals print it: .0134, <.0001, 1.0000; a dash where it is NaN."""
    if math.isnan(value):
        return ABSENT
    least = 10.0**-places
    return f"<{_bare(least, places)}" if 0 <= value < least else _bare(value, places)


def _bare(value: float, places: int) -> str:
    text = f"{value:.{places}f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def number_in_text(value: float) -> str:
    """Return a number with four digits, as it stands in a sentence."""
    return typeset(value, decimals([value]))
