"""Figures of the sensitivity to hyper-parameters: over the values of one, and heat maps over two."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from pgexp.comparison.design import numeric
from pgexp.comparison.figures.layout import Legend, axis_limits, grid_position, left_axes, panel_grid
from pgexp.comparison.figures.style import (
    BAND,
    EM,
    PALE,
    SMALL,
    ShortNumbers,
    Width,
    add_caption,
    count_text,
    longest_line,
    save,
    split,
    style_axes,
    styled,
    wrap_name,
)
from pgexp.schema.palette import COLOURS
from pgexp.statistics.point_estimates import FloatArray

KINDS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "marginal": ("mean over the other hyper-parameters", {"color": COLOURS[0], "linestyle": "-", "marker": "o"}),
    "best": ("others at their best (chosen on these seeds)", {"color": COLOURS[1], "linestyle": "--", "marker": "s"}),
}
"""The label of each kind of the frame, and its style."""
OFFSET: Final = 0.1  # between the kinds of a category, in distances of categories
MAX_TICKS: Final = 4
MAX_CHARACTERS: Final = 26  # of all values below a panel, beyond which they are slanted
COLOURMAP: Final = "cividis"  # perceptually uniform, also with colour blindness and in grey print
MIN_CELL: Final = 0.36  # inches of a cell that fits a number
MAX_CELL_ROWS: Final = 10  # of cells that fit numbers
MARGIN_INCHES: Final = 1.1  # for the axis labels and the colour bar
NAME_CHARACTERS: Final = 14  # per line of a value at the axis of a map


def plot_sensitivity(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_sensitivity` and the frame (`style.save`); return the paths."""
    return save(draw_sensitivity, frame, stem)


def draw_sensitivity(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the frame of `sensitivity`, a panel per environment and hyper-parameter.

    The axis of a hyper-parameter is logarithmic if its values are more evenly spaced there. Values that are not numbers
    are categories without a line. The panels of an environment have the same axis of scores.
    """
    environments = split(frame, "environment")
    panels = [(environment, *one) for environment, own in environments for one in split(own, "factor")]
    with styled():
        handles = [Line2D([], [], **style) for _, style in KINDS.values()]
        legend = None
        if frame["kind"].nunique() > 1:
            legend = Legend(handles, [label for label, _ in KINDS.values()], "", width)
        figure, axes = panel_grid(len(panels), width, legend.height if legend else 0)
        for ax, (environment, factor, rows) in zip(axes, panels, strict=True):
            _draw_scores(ax, rows)
            own = frame[frame["environment"] == environment]
            ax.set_ylim(*axis_limits(own["score"], own["low"], own["high"]))
            ax.set_title(environment if len(environments) > 1 or ax is axes[0] else "")
            ax.set_xlabel(wrap_name(factor, 30))
        for ax in left_axes(axes):
            ax.set_ylabel("final return")
        if legend:
            legend.add_to(figure)
        band = "95 % interval over seeds" if frame["low"].notna().any() else ""
        add_caption(figure, f"mean over {count_text(frame['n'], 'seed')}", band)
    return figure


def is_geometric(values: FloatArray) -> bool:
    """Return whether increasing values are more evenly spaced on a logarithmic axis than on a linear one."""
    if values.size < 2 or values[0] <= 0:
        return False
    if values.size == 2:
        return bool(values[1] >= 5 * values[0])
    spreads = [np.std(steps) / np.mean(steps) for steps in (np.diff(np.log(values)), np.diff(values))]
    return bool(spreads[0] < spreads[1])


def plot_interaction(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_interaction` and the frame (`style.save`); return the paths."""
    return save(draw_interaction, frame, stem)


def draw_interaction(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the heat map of the frame of `interaction`, a panel per environment and pair of hyper-parameters.

    A cell's colour, and its number if it fits, is the score. A cell without runs is hatched.
    """
    pairs = frame["factor_x"].astype(str) + "\n" + frame["factor_y"].astype(str)
    panels = [rows for _, own in split(frame.assign(pair=pairs), "environment") for _, rows in split(own, "pair")]
    with styled():
        figure, axes = panel_grid(len(panels), width, 0.0)
        for ax, rows in zip(axes, panels, strict=True):
            _draw_map(figure, ax, rows)
            ax.set_title(str(rows["environment"].iloc[0]))
        hatched = "hatched: no runs" if any(score_cells(rows).isna().any(axis=None) for rows in panels) else ""
        add_caption(figure, f"mean final return, {count_text(frame['n'], 'seed')} per cell", hatched)
    return figure


def score_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one pair of hyper-parameters: a column per value of x, a row per value of y, increasing."""
    table = rows.pivot_table(index="value_y", columns="value_x", values="score", sort=False, observed=True)
    return table.reindex(index=_increasing(table.index), columns=_increasing(table.columns))


def _draw_scores(ax: Axes, rows: pd.DataFrame) -> None:
    known = numeric(rows["value"])
    places = {text: place for place, text in enumerate(dict.fromkeys(rows["value"].astype(str)))}
    at = rows["value"].astype(str).map(places).astype(float) if known is None else known
    style_axes(ax, "y", MAX_TICKS)
    kinds = split(rows.assign(at=at).sort_values("at"), "kind")
    for place, (kind, own) in enumerate(kinds):
        style = KINDS[kind][1]
        if known is None or len(own) == 1:
            reach = np.nan_to_num([own["score"] - own["low"], own["high"] - own["score"]]).clip(0)
            offset = 0 if len(kinds) == 1 or known is not None else OFFSET * (2 * place - 1)
            ax.errorbar(own["at"] + offset, own["score"], yerr=reach, capsize=1.8, **style | {"linestyle": "none"})
        else:
            ax.fill_between(own["at"], own["low"], own["high"], color=style["color"], alpha=BAND, linewidth=0)
            ax.plot(own["at"], own["score"], **style)
    _write_values(ax, np.unique(at), list(places) if known is None else None)


def _write_values(ax: Axes, at: FloatArray, texts: Sequence[str] | None) -> None:
    """Write the values below the axis: long texts slanted, and of many numbers every second, third, ..."""
    if texts is not None:
        slant: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(at, labels=texts, **(slant if len(max(texts, key=len)) * len(texts) > MAX_CHARACTERS else {}))
        ax.set_xlim(-0.5, len(at) - 0.5)
        return
    if is_geometric(at):
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    some = at[:: ceil(len(at) / MAX_TICKS)]
    ax.set_xticks(some, labels=[f"{value:g}" for value in some])


def _increasing(values: "pd.Index[Any]") -> "pd.Index[Any]":
    numbers = pd.to_numeric(values.astype(str).to_series(), errors="coerce").to_numpy(float)
    return values if np.isnan(numbers).any() else values[np.argsort(numbers)]


def _draw_map(figure: Figure, ax: Axes, rows: pd.DataFrame) -> None:
    table = score_cells(rows)
    scores = table.to_numpy(float)
    image = ax.pcolormesh(np.ma.masked_invalid(scores), cmap=COLOURMAP, edgecolor="white", linewidth=0.6)
    for y, x in np.argwhere(np.isnan(scores)):
        ax.add_patch(Rectangle((float(x), float(y)), 1, 1, facecolor="none", edgecolor=PALE, hatch="////", linewidth=0))
    map_width = float(ax.figure.bbox.width / ax.figure.dpi / grid_position(ax).get_gridspec().ncols - MARGIN_INCHES)
    cell = map_width / scores.shape[1]  # inches, approximately
    for axis, factor, values in ((ax.xaxis, "factor_x", table.columns), (ax.yaxis, "factor_y", table.index)):
        texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        labels = [wrap_name(text, NAME_CHARACTERS) for text in texts]
        every = ceil(longest_line(labels) * SMALL * EM / 72 / cell) if axis is ax.xaxis else 1
        axis.set_ticks(np.arange(len(values))[::every] + 0.5, labels=labels[::every])
        axis.set_label_text(wrap_name(str(rows[factor].iloc[0]), 30))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, format=ShortNumbers(), pad=0.02, aspect=15)
    bar.outline.set_visible(False)
    if cell >= MIN_CELL and len(scores) <= MAX_CELL_ROWS:
        _write_scores(ax, scores)


def _write_scores(ax: Axes, scores: FloatArray) -> None:
    """Write each cell's score into it, in white on the dark half of the colour map."""
    middle, number = (np.nanmin(scores) + np.nanmax(scores)) / 2, ShortNumbers()
    for y, x in np.argwhere(~np.isnan(scores)):
        text, colour = number(float(f"{scores[y, x]:.3g}")), "white" if scores[y, x] < middle else "black"
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=SMALL, color=colour)
