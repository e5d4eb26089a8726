"""Numbers of a figure in words, for its caption and for who can't see it."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.report.numbers import number_in_text

SPOKEN: Final = 8  # values that the words for a figure tell before they refer to its data


def count(n: "pd.Series[int]") -> str:
    """Return ``5 seeds``, ``3 to 5 seeds`` or ``one seed``."""
    few, many = int(n.min()), int(n.max())
    return f"{few} to {many} seeds" if few < many else f"{many} seeds" if many > 1 else "one seed"


def told(rows: pd.DataFrame, column: str) -> str:
    """Return ``a 12.3; b 45.6``, an environment's name before them where there are several."""
    several = rows["environment"].nunique() > 1
    known = rows[rows[column].notna()]
    named = known["environment"].astype(str) + ", " if several else pd.Series("", index=known.index)
    named += known["configuration_name"].astype(str)
    texts = [f"{name} {number_in_text(value)}" for name, value in zip(named, known[column], strict=True)]
    return "; ".join([*texts[:SPOKEN], *([f"and {len(texts) - SPOKEN} more"] if len(texts) > SPOKEN else [])])


def span(values: Iterable[float]) -> str:
    """Return ``12.3 to 45.6``: the least and the greatest of the values that are there."""
    known = np.asarray(list(values), dtype=float)
    return f"{number_in_text(float(np.nanmin(known)))} to {number_in_text(float(np.nanmax(known)))}"
