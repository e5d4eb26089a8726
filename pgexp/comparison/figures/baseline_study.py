"""Figure of the baseline study: return, gradient variance, signal-to-noise ratio and bias over training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from pgexp.comparison.baseline_study import GEOMETRIC
from pgexp.comparison.figures.layout import Legend, axis_limits
from pgexp.comparison.figures.style import (
    BAND,
    MAX_LINES,
    PAGE,
    PALE,
    Chosen,
    Naming,
    ShortNumbers,
    Width,
    add_caption,
    best_rows,
    blank_figure,
    count_text,
    line_styles,
    save,
    short_names,
    split,
    style_axes,
    styled,
)

# All lengths are in inches.
HEIGHT: Final = 1.35  # from one panel to the next
MIN_HEIGHT: Final = 0.75  # the same for many panels per page
TITLE: Final = 0.4  # an environment's title and the numbers below its panels
AROUND: Final = 0.2  # the caption
QUANTITIES: Final[Mapping[str, str]] = {
    "return": "return",
    "variance": "gradient\nvariance",
    "variance_left": "share of\nvariance left",
    "signal_to_noise": "signal to\nnoise",
    "bias": "bias of\nthe values",
}
"""The label of each quantity, from the top down."""
SIGNED: Final = ("signal_to_noise", "bias")


def plot_baseline_study(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_baseline_study` and the frame (`style.save`); return the paths."""
    return save(draw_baseline_study, frame, stem)


def draw_baseline_study(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of `study_frame`: a panel per quantity, one below the other, with one axis of steps.

    Up to three environments are side by side in a wide figure, otherwise one below the other. Quantities that no run
    has recorded have no panel. Of more than MAX_LINES configurations those with the best last return are drawn
    (`shown_study`).
    """
    names = short_names(frame)
    shown, note = shown_study(frame, names)
    styles = line_styles(names.of(shown))
    quantities = [quantity for quantity in QUANTITIES if (shown["quantity"] == quantity).any()]
    environments = split(shown, "environment")
    with styled():
        legend = Legend([Line2D([], [], **style) for style in styles.values()], list(styles), names.title, width)
        side_by_side = width == "two" and len(environments) <= 3
        figure, axes = _panels(len(environments), len(quantities), width, side_by_side, legend.height)
        for column, (environment, rows) in zip(axes, environments, strict=True):
            lines = [(name, styles[names.labels[name]]) for name in rows["configuration_name"].astype(str).unique()]
            for ax, quantity in zip(column, quantities, strict=True):
                own = rows[rows["quantity"] == quantity]
                _draw(ax, own, lines)
                style_axes(ax, "y", ticks=6 if len(axes) == 1 and width == "two" else 4)
                _set_vertical_axis(ax, quantity, own)
                ax.set_ylabel(QUANTITIES[quantity] if column is axes[0] or not side_by_side else "")
                ax.set_xlim(0, 1.02 * rows["steps"].max() or 1)
                ax.tick_params(labelbottom=ax is column[-1])
            column[0].set_title(environment)
            column[-1].set_xlabel("environment steps")
        figure.align_ylabels()
        legend.add_to(figure)
        mean = "mean (geometric for variances)" if shown["quantity"].isin(GEOMETRIC).any() else "mean"
        band = ", 95 % t band" if shown["low"].notna().any() else ""
        add_caption(figure, count_text(shown["n"], "seed"), mean + band, note)
    return figure


def shown_study(frame: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows of the configurations that are drawn, and a note if others are left out."""
    keys = [frame["environment"], frame["configuration_name"]]
    returns = frame["value"].where(frame["quantity"] == "return").groupby(keys, observed=True).transform("last")
    return best_rows(frame, (names or short_names(frame)).of(frame), returns, MAX_LINES, "last return")


def _panels(
    environments: int, quantities: int, width: Width, side_by_side: bool, below: float
) -> tuple[Figure, list[list[Axes]]]:
    """Return the figure and, for each environment, the axes of its quantities from the top down."""
    blocks = 1 if side_by_side else environments
    height = max(MIN_HEIGHT, min(HEIGHT, ((PAGE - below - AROUND) / blocks - TITLE) / quantities))
    figure = blank_figure(width, blocks * (quantities * height + TITLE) + below + AROUND)
    grid = figure.subplots(blocks * quantities, environments if side_by_side else 1, squeeze=False)
    if side_by_side:
        return figure, [list(column) for column in grid.T]
    return figure, [list(block) for block in grid[:, 0].reshape(environments, quantities)]


def _draw(ax: Axes, rows: pd.DataFrame, lines: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for name, style in lines:
        curve = rows[rows["configuration_name"] == name]
        ax.fill_between(curve["steps"], curve["low"], curve["high"], color=style["color"], alpha=BAND, linewidth=0)
        ax.plot(curve["steps"], curve["value"], marker="o" if len(curve) == 1 else None, **style)


def _set_vertical_axis(ax: Axes, quantity: str, rows: pd.DataFrame) -> None:
    ends = [rows[name].to_numpy(float) for name in ("value", "low", "high")]
    if quantity in GEOMETRIC and (rows["value"] > 0).any():
        ax.set_yscale("log")
        ax.set_ylim(*np.power(10, axis_limits(*(np.log10(each[each > 0]) for each in ends))))
        decades = np.log10(ax.get_ylim()[1] / ax.get_ylim()[0])
        ax.yaxis.set_major_locator(LogLocator(numticks=5) if decades > 2 else LogLocator(subs=(1, 2, 5), numticks=5))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(ShortNumbers())
        return
    ax.set_ylim(*axis_limits(*ends))
    if quantity in SIGNED:
        ax.axhline(0, color=PALE, linewidth=0.6, zorder=1)
