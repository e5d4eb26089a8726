"""The figure of the interactions: the score over two hyper-parameters, as a map."""

from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pgexp.comparison.figures.naming import longest, split, wrapped
from pgexp.comparison.figures.panels import grid, place
from pgexp.comparison.figures.saving import save
from pgexp.comparison.figures.style import EM, PALE, SMALL, ShortNumbers, Width, caption, counted, styled
from pgexp.statistics.intervals import FloatArray

COLOURMAP: Final = "cividis"  # even to the eye, with and without red-green blindness, and in grey print
CELL: Final = 0.36  # inches of a cell in which a number has room
ROWS: Final = 10  # of cells, as many as leave a number its height
BESIDE: Final = 1.1  # inches that values and the colours' scale take
CHARACTERS: Final = 14  # of a line of a value beside the map


def plot_interaction(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_interaction` and the frame beside it (`saving.save`); return the files."""
    return save(draw_interaction, frame, stem)


def draw_interaction(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of `sensitivity.interaction`, a panel an environment and pair of hyper-parameters.

    A cell's colour, and its number where that has room, is the score. A cell without runs is hatched.
    """
    pairs = frame["factor_x"].astype(str) + "\n" + frame["factor_y"].astype(str)
    panels = [rows for _, own in split(frame.assign(pair=pairs), "environment") for _, rows in split(own, "pair")]
    with styled():
        figure, axes = grid(len(panels), width, 0.0)
        for ax, rows in zip(axes, panels, strict=True):
            _draw(figure, ax, rows)
            ax.set_title(str(rows["environment"].iloc[0]))
        caption(figure, f"mean final return, {counted(frame['n'], 'seed')} a cell", _hatched(panels))
    return figure


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one pair of hyper-parameters: a column a value of x, a row a value of y, in rising order."""
    table = rows.pivot_table(index="value_y", columns="value_x", values="score", sort=False, observed=True)
    return table.reindex(index=_rising(table.index), columns=_rising(table.columns))


def _rising(values: "pd.Index[Any]") -> "pd.Index[Any]":
    numbers = pd.to_numeric(values.astype(str).to_series(), errors="coerce").to_numpy(float)
    return values if np.isnan(numbers).any() else values[np.argsort(numbers)]


def _draw(figure: Figure, ax: Axes, rows: pd.DataFrame) -> None:
    table = cells(rows)
    scores = table.to_numpy(float)
    image = ax.pcolormesh(np.ma.masked_invalid(scores), cmap=COLOURMAP, edgecolor="white", linewidth=0.6)
    for y, x in np.argwhere(np.isnan(scores)):
        ax.add_patch(Rectangle((float(x), float(y)), 1, 1, facecolor="none", edgecolor=PALE, hatch="////", linewidth=0))
    cell = _across(ax) / scores.shape[1]
    for axis, factor, values in ((ax.xaxis, "factor_x", table.columns), (ax.yaxis, "factor_y", table.index)):
        labels = [wrapped(_text(value), CHARACTERS) for value in values]
        every = ceil(longest(labels) * SMALL * EM / 72 / cell) if axis is ax.xaxis else 1
        axis.set_ticks(np.arange(len(values))[::every] + 0.5, labels=labels[::every])
        axis.set_label_text(wrapped(str(rows[factor].iloc[0]), 30))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, format=ShortNumbers(), pad=0.02, aspect=15)
    bar.outline.set_visible(False)
    if cell >= CELL and len(scores) <= ROWS:
        _write(ax, scores)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _across(ax: Axes) -> float:
    """Return about how many inches wide a map is."""
    return float(ax.figure.bbox.width / ax.figure.dpi / place(ax).get_gridspec().ncols - BESIDE)


def _write(ax: Axes, scores: FloatArray) -> None:
    """Write each cell's score into it, in white on the dark half of the map."""
    middle = (np.nanmin(scores) + np.nanmax(scores)) / 2
    texts = ShortNumbers()
    for y, x in np.argwhere(~np.isnan(scores)):
        score = scores[y, x]
        text = texts(float(f"{score:.3g}"))
        ax.text(
            x + 0.5,
            y + 0.5,
            text,
            ha="center",
            va="center",
            fontsize=SMALL,
            color="white" if score < middle else "black",
        )


def _hatched(panels: list[pd.DataFrame]) -> str:
    return "hatched: no runs" if any(cells(rows).isna().any(axis=None) for rows in panels) else ""
