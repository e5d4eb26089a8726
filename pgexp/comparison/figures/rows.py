"""Figures of rows: a configuration or a difference a row, its name at the left, a panel an environment."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgexp.comparison.figures.naming import wrapped
from pgexp.comparison.figures.panels import columns_of
from pgexp.comparison.figures.style import PAGE, Width, blank, dress

ROW: Final = 0.27  # inches from one row to the next
LINE: Final = 0.12  # inches of a further line of a name
PANEL: Final = 0.55  # inches of a panel's title and the numbers at its axis
LEGEND: Final = 0.3  # inches of a legend
AROUND: Final = 0.75  # inches of caption and axis label
NAMES: Final[dict[Width, int]] = {"one": 18, "two": 40}
"""Characters of a line of a name."""


def most_rows(panels: int) -> int:
    """Return how many rows each of so many panels may have, one below the other, on a page."""
    return max(3, int(((PAGE - AROUND - LEGEND) / panels - PANEL) / ROW))


def row_panels(names: Mapping[str, Sequence[str]], width: Width, below: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of a panel an environment, the first row at the top, and inches below for a legend.

    names has the rows' names by environment. Panels with the same names stand side by side in two columns.
    """
    each = list(names.values())
    columns = columns_of(len(each), width) if all(one == each[0] for one in each) else 1
    texts = [[wrapped(name, NAMES[width] // (2 if columns > 1 else 1)) for name in one] for one in each]
    heights = [sum(ROW + LINE * text.count("\n") for text in one) for one in texts][::columns]
    figure = blank(width, sum(heights) + PANEL * len(heights) + AROUND + below)
    grid = figure.subplots(ceil(len(each) / columns), columns, squeeze=False, height_ratios=heights)
    axes = list(grid.ravel())
    for place, (ax, environment, one) in enumerate(zip(axes, names, texts, strict=False)):
        _rows(ax, one, named=place % columns == 0, ticks=6 if width == "two" and columns == 1 else 4)
        ax.set_title(environment)
    for unused in axes[len(each) :]:
        unused.remove()
    return figure, axes[: len(each)]


def _rows(ax: Axes, texts: Sequence[str], named: bool, ticks: int) -> None:
    dress(ax, "x", ticks)
    ax.set_yticks(np.arange(len(texts)), labels=texts if named else [""] * len(texts))
    ax.set_ylim(len(texts) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
