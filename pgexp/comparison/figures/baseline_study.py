"""The figure of the baseline study: return, variance, signal and bias by baseline, on one axis of steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from pgexp.comparison.figures.choosing import MOST, Chosen, best
from pgexp.comparison.figures.naming import Naming, naming, split
from pgexp.comparison.figures.panels import Legend, limits
from pgexp.comparison.figures.saving import save
from pgexp.comparison.figures.style import (
    PAGE,
    PALE,
    ShortNumbers,
    Width,
    blank,
    caption,
    counted,
    dress,
    looks,
    styled,
)

BAND: Final = 0.15  # opacity
HEIGHT: Final = 1.35  # inches from one panel to the next
LEAST: Final = 0.75  # the same, where a page has to hold many
TITLE: Final = 0.4  # inches of an environment's title and the numbers below its panels
AROUND: Final = 0.2  # inches of the caption
QUANTITIES: Final[Mapping[str, str]] = {
    "return": "return",
    "variance": "gradient\nvariance",
    "variance_left": "share of\nvariance left",
    "signal_to_noise": "signal to\nnoise",
    "bias": "bias of\nthe values",
}
"""What the quantities of the frame are called, from the top down."""
LOGARITHMIC: Final = ("variance", "variance_left")
SIGNED: Final = ("signal_to_noise", "bias")


def plot_baseline_study(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_baseline_study` and the frame beside it (`saving.save`); return the files."""
    return save(draw_baseline_study, frame, stem)


def draw_baseline_study(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of `baseline_study.study_frame`: a panel a quantity, one below the other, on one axis of steps.

    Environments stand side by side in two columns, one below the other in one. Quantities that no run has recorded
    have no panel. Of more than MOST configurations those with the best last return are drawn (`shown_study`).
    """
    names = naming(frame)
    shown, note = shown_study(frame, names)
    styles = looks(names.of(shown))
    quantities = [quantity for quantity in QUANTITIES if (shown["quantity"] == quantity).any()]
    environments = split(shown, "environment")
    with styled():
        legend = Legend([Line2D([], [], **style) for style in styles.values()], list(styles), names.title, width)
        side_by_side = width == "two" and len(environments) <= 3
        figure, axes = _panels(len(environments), len(quantities), width, side_by_side, legend.height)
        for column, (environment, rows) in zip(axes, environments, strict=True):
            lines = [(name, styles[names.labels[name]]) for name in rows["configuration_name"].astype(str).unique()]
            for ax, quantity in zip(column, quantities, strict=True):
                _draw(ax, own := rows[rows["quantity"] == quantity], lines)
                _dress(ax, quantity, own, ticks=6 if len(axes) == 1 and width == "two" else 4)
                ax.set_ylabel(QUANTITIES[quantity] if column is axes[0] or not side_by_side else "")
            column[0].set_title(environment)
            column[-1].set_xlabel("environment steps")
            _share_steps(column, rows["steps"].max())
        figure.align_ylabels()
        legend.write(figure)
        caption(figure, counted(shown["n"], "seed"), _what(shown), note)
    return figure


def _what(shown: pd.DataFrame) -> str:
    mean = "mean (of variances geometric)" if shown["quantity"].isin(LOGARITHMIC).any() else "mean"
    return f"{mean}, 95 % t band" if shown["low"].notna().any() else mean


def shown_study(frame: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows of the configurations that are drawn, and a sentence if these are not all."""
    keys = [frame["environment"], frame["configuration_name"]]
    returns = frame["value"].where(frame["quantity"] == "return").groupby(keys, observed=True).transform("last")
    return best(frame, (names or naming(frame)).of(frame), returns, MOST, "last return")


def _panels(
    environments: int, quantities: int, width: Width, side_by_side: bool, below: float
) -> tuple[Figure, list[list[Axes]]]:
    """Return the figure and, for each environment, the axes of its quantities from the top down."""
    blocks = 1 if side_by_side else environments
    high = max(LEAST, min(HEIGHT, ((PAGE - below - AROUND) / blocks - TITLE) / quantities))
    figure = blank(width, blocks * (quantities * high + TITLE) + below + AROUND)
    grid = figure.subplots(blocks * quantities, environments if side_by_side else 1, squeeze=False)
    if side_by_side:
        return figure, [list(column) for column in grid.T]
    return figure, [list(block) for block in grid[:, 0].reshape(environments, quantities)]


def _draw(ax: Axes, rows: pd.DataFrame, lines: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for name, style in lines:
        curve = rows[rows["configuration_name"] == name]
        ax.fill_between(curve["steps"], curve["low"], curve["high"], color=style["color"], alpha=BAND, linewidth=0)
        ax.plot(curve["steps"], curve["value"], marker="o" if len(curve) == 1 else None, **style)


def _dress(ax: Axes, quantity: str, rows: pd.DataFrame, ticks: int) -> None:
    dress(ax, "y", ticks)
    ends = [rows[name].to_numpy(float) for name in ("value", "low", "high")]
    if quantity in LOGARITHMIC and (rows["value"] > 0).any():
        ax.set_yscale("log")
        ax.set_ylim(*np.power(10, limits(*(np.log10(each[each > 0]) for each in ends))))
        decades = np.log10(ax.get_ylim()[1] / ax.get_ylim()[0])
        ax.yaxis.set_major_locator(LogLocator(numticks=5) if decades > 2 else LogLocator(subs=(1, 2, 5), numticks=5))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(ShortNumbers())
        return
    ax.set_ylim(*limits(*ends))
    if quantity in SIGNED:
        ax.axhline(0, color=PALE, linewidth=0.6, zorder=1)


def _share_steps(column: Sequence[Axes], most: float) -> None:
    """Give the axes of one environment the same steps, and the numbers to the lowest alone."""
    for ax in column:
        ax.set_xlim(0, 1.02 * most or 1)
        ax.tick_params(labelbottom=ax is column[-1])
