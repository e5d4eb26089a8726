"""How a figure is laid out: a panel an environment, one legend below all, the height that they need."""

from collections.abc import Sequence
from math import ceil
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import ArrayLike

from pgexp.comparison.figures.naming import longest, wrapped
from pgexp.comparison.figures.style import EM, INCHES, PAGE, SMALL, Width, blank

LEAST: Final = 1.1  # inches of a panel that is still legible
LINE: Final = 0.15  # inches from one line of the legend to the next
HANDLE: Final = 6.0  # characters that a legend's handle and the gaps beside it take
TITLE: Final = 0.55  # inches of a panel's title and the numbers at its axis


class Legend:
    """The handles and labels below a figure's panels: its columns, lines and height follow from the longest label."""

    def __init__(self, handles: Sequence[Artist], labels: Sequence[str], title: str, width: Width) -> None:
        room = INCHES[width] * 72 / (SMALL * EM)  # characters
        self.handles = handles
        self.labels = [wrapped(label, int(room - HANDLE - 2)) for label in labels]
        self.title = wrapped(title, int(room))
        rows = ceil(len(labels) / max(1, int(room / (longest(self.labels) + HANDLE))))
        self.columns = ceil(len(labels) / max(1, rows))
        lines = max((label.count("\n") + 1 for label in self.labels), default=0)
        self.height = LINE * (rows * lines + bool(title)) + 0.1

    def write(self, figure: Figure) -> None:
        """Write the legend below the panels."""
        options: dict[str, Any] = {"frameon": False, "handlelength": 2.4, "columnspacing": 1.2, "labelspacing": 0.25}
        options |= {"title": self.title or None, "ncols": self.columns, "borderaxespad": 0.2}
        figure.legend(list(self.handles), self.labels, loc="outside lower center", **options)


def columns_of(panels: int, width: Width) -> int:
    """Return how many panels stand side by side: one in one column, up to three in two."""
    return 1 if width == "one" else {1: 1, 2: 2, 4: 2}.get(panels, 3)


def grid(panels: int, width: Width, below: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels, and inches below them for a legend, and the panels' axes.

    They are as high as looks well (2 inches, one alone in two columns 2.6), lower if the page demands it.
    """
    columns = columns_of(panels, width)
    rows = ceil(panels / columns)
    wished = 2.6 if width == "two" and columns == 1 else 2.0
    high = max(LEAST, min(wished, (PAGE - below - 0.3) / rows - TITLE))
    figure = blank(width, rows * (high + TITLE) + below + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for unused in axes[panels:]:
        unused.remove()
    return figure, list(axes[:panels])


def left_of(axes: Sequence[Axes]) -> list[Axes]:
    """Return the axes at the left edge, where labels of the vertical axis belong."""
    return [ax for ax in axes if place(ax).is_first_col()]


def bottom_of(axes: Sequence[Axes]) -> list[Axes]:
    """Return the axes with no other below them, where labels of the horizontal axis belong."""
    columns = place(axes[0]).get_gridspec().ncols
    return list(axes[-columns:])


def limits(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[float, float]:
    """Return the ends of an axis: all values, and their intervals as far as these leave the values legible.

    An interval over two seeds may be twenty times as wide as all that happens. Intervals are cut where they are
    further from the values than the values' own range, or than the median interval is wide, whichever is more.
    """
    points, lows, highs = (np.asarray(ends, dtype=float) for ends in (values, low, high))
    points, lows, highs = (ends[np.isfinite(ends)] for ends in (points, lows, highs))
    bottom, top = (points.min(), points.max()) if points.size else (0.0, 1.0)
    beyond = max(top - bottom, float(np.median(highs) - np.median(lows)) if lows.size and highs.size else 0.0)
    bottom = max(min(bottom, lows.min(initial=bottom)), bottom - beyond)
    top = min(max(top, highs.max(initial=top)), top + beyond)
    margin = 0.05 * (top - bottom) or 0.05 * abs(top) or 1.0
    return float(bottom - margin), float(top + margin)


def place(ax: Axes) -> SubplotSpec:
    """Return where a panel stands in its figure's grid. ValueError where it is of none."""
    found = ax.get_subplotspec()
    if found is None:
        raise ValueError("the axes stand in no grid of panels")
    return found
