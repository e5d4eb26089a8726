"""Layout of figures: panels per environment, rows per configuration, legends and axis limits."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import ArrayLike

from pgexp.comparison.figures.style import (
    EM,
    INCHES,
    PAGE,
    SMALL,
    Width,
    blank_figure,
    longest_line,
    style_axes,
    wrap_name,
)

# All lengths are in inches.
MIN_PANEL: Final = 1.1  # height of a legible panel
LEGEND_LINE: Final = 0.15
HANDLE: Final = 6.0  # characters of a legend's handle and its gaps
TITLE: Final = 0.55  # a panel's title and the numbers at its axis
ROW: Final = 0.27
NAME_LINE: Final = 0.12  # a further line of a row's name
LEGEND: Final = 0.3
AROUND: Final = 0.75  # caption and axis label of a figure of rows
NAME_CHARACTERS: Final[dict[Width, int]] = {"one": 18, "two": 40}


class Legend:
    """A legend below a figure's panels; its columns, lines and height follow from the longest label."""

    def __init__(self, handles: Sequence[Artist], labels: Sequence[str], title: str, width: Width) -> None:
        room = INCHES[width] * 72 / (SMALL * EM)  # characters
        self.handles = handles
        self.labels = [wrap_name(label, int(room - HANDLE - 2)) for label in labels]
        self.title = wrap_name(title, int(room))
        rows = ceil(len(labels) / max(1, int(room / (longest_line(self.labels) + HANDLE))))
        self.columns = ceil(len(labels) / max(1, rows))
        lines = max((label.count("\n") + 1 for label in self.labels), default=0)
        self.height = LEGEND_LINE * (rows * lines + bool(title)) + 0.1

    def add_to(self, figure: Figure) -> None:
        """Draw the legend below the panels."""
        options: dict[str, Any] = {"frameon": False, "handlelength": 2.4, "columnspacing": 1.2, "labelspacing": 0.25}
        options |= {"title": self.title or None, "ncols": self.columns, "borderaxespad": 0.2}
        figure.legend(list(self.handles), self.labels, loc="outside lower center", **options)


def panel_columns(panels: int, width: Width) -> int:
    """Return the number of panel columns: one in a narrow figure, up to three in a wide one."""
    return 1 if width == "one" else {1: 1, 2: 2, 4: 2}.get(panels, 3)


def panel_grid(panels: int, width: Width, below: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels and space below them for a legend, and the panels' axes.

    Panels are 2 inches high, a single wide one 2.6, and lower if the page requires it.
    """
    columns = panel_columns(panels, width)
    rows = ceil(panels / columns)
    preferred = 2.6 if width == "two" and columns == 1 else 2.0
    height = max(MIN_PANEL, min(preferred, (PAGE - below - 0.3) / rows - TITLE))
    figure = blank_figure(width, rows * (height + TITLE) + below + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for unused in axes[panels:]:
        unused.remove()
    return figure, list(axes[:panels])


def max_rows(panels: int) -> int:
    """Return how many rows each of these panels may have, one below the other, on a page."""
    return max(3, int(((PAGE - AROUND - LEGEND) / panels - TITLE) / ROW))


def row_panels(names: Mapping[str, Sequence[str]], width: Width, below: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of named rows with a panel per environment, the first row at the top, and space for a legend.

    names has the rows' names by environment. In a wide figure, panels with the same names are side by side.
    """
    each = list(names.values())
    columns = panel_columns(len(each), width) if all(one == each[0] for one in each) else 1
    texts = [[wrap_name(name, NAME_CHARACTERS[width] // (2 if columns > 1 else 1)) for name in one] for one in each]
    heights = [sum(ROW + NAME_LINE * text.count("\n") for text in one) for one in texts][::columns]
    figure = blank_figure(width, sum(heights) + TITLE * len(heights) + AROUND + below)
    axes = list(figure.subplots(ceil(len(each) / columns), columns, squeeze=False, height_ratios=heights).ravel())
    for unused in axes[len(each) :]:
        unused.remove()
    axes = axes[: len(each)]
    for place, (ax, environment, labels) in enumerate(zip(axes, names, texts, strict=True)):
        style_axes(ax, "x", ticks=6 if width == "two" and columns == 1 else 4)
        ax.set_yticks(np.arange(len(labels)), labels=labels if place % columns == 0 else [""] * len(labels))
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_title(environment)
    return figure, axes


def left_axes(axes: Sequence[Axes]) -> list[Axes]:
    """Return the axes at the left edge, which have the label of the vertical axis."""
    return [ax for ax in axes if grid_position(ax).is_first_col()]


def bottom_axes(axes: Sequence[Axes]) -> list[Axes]:
    """Return the axes without others below them, which have the label of the horizontal axis."""
    return list(axes[-grid_position(axes[0]).get_gridspec().ncols :])


def axis_limits(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[float, float]:
    """Return the limits of an axis: all values, and their intervals as far as the values stay legible.

    An interval over two seeds may be twenty times as wide as the range of the values. Intervals are cut at a distance
    from the values of the values' own range, or of the median interval's width if that is larger.
    """
    points, lows, highs = (np.asarray(ends, dtype=float) for ends in (values, low, high))
    points, lows, highs = (ends[np.isfinite(ends)] for ends in (points, lows, highs))
    bottom, top = (points.min(), points.max()) if points.size else (0.0, 1.0)
    beyond = max(top - bottom, float(np.median(highs) - np.median(lows)) if lows.size and highs.size else 0.0)
    bottom = max(min(bottom, lows.min(initial=bottom)), bottom - beyond)
    top = min(max(top, highs.max(initial=top)), top + beyond)
    margin = 0.05 * (top - bottom) or 0.05 * abs(top) or 1.0
    return float(bottom - margin), float(top + margin)


def grid_position(ax: Axes) -> SubplotSpec:
    """Return a panel's position in its figure's grid. Raises ValueError if it has none."""
    found = ax.get_subplotspec()
    if found is None:
        raise ValueError("the axes must be in a grid of panels")
    return found
