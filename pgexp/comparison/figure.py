"""The figure of the learning curves, legible in grey print and to the colour-blind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from scipy.optimize import isotonic_regression

from pgexp.comparison.labels import thousands
from pgexp.statistics.intervals import FloatArray

# Okabe and Ito 2008, without the yellow that white paper swallows. Seven colours and four dashes have no
# common factor, so that 28 lines look different.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: Final = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
INK: Final = "#333333"
PALE: Final = "#777777"
WIDTH: Final = 6.4  # inches of a panel, its labels apart
HEIGHT: Final = 3.4
LABEL: Final = 0.18  # inches from one label to the next


class _Label(NamedTuple):
    """What is written beside the axes: the text, the data point it belongs to, and how its line looks."""

    text: str
    step: float
    value: float
    style: dict[str, Any]


def plot_curves(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Draw the curves of `curve_frame`, a panel an environment; return the files stem.png, .svg and .csv.

    A line is the interquartile mean over seeds and its band the bootstrap interval. Lines are named beside
    the axes, at the height of their ends, so that no legend covers data. The CSV holds the numbers that are
    drawn.
    """
    panels = list(frame.groupby("environment", sort=False))
    most = max(panel["configuration_name"].nunique() for _, panel in panels)
    height = max(HEIGHT, LABEL * (most + 2))
    figure = Figure(figsize=(WIDTH, (height + 0.6) * len(panels)), dpi=200)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), squeeze=False, gridspec_kw={"hspace": 0.6 / height})[:, 0]
    for ax, (environment, panel) in zip(axes, panels, strict=True):
        labels = _draw(ax, panel)
        _dress(ax, str(environment), panel)
        _write(ax, labels, gap=LABEL / height)
    figure.align_ylabels()
    axes[-1].set_xlabel("environment steps", color=INK)
    return _save(figure, frame, stem)


def spread(heights: FloatArray, gap: float) -> FloatArray:
    """Return the heights moved apart to at least the gap, as little as possible, and into [0, 1] if they fit.

    With the heights h sorted, h_i - i gap must not fall: the nearest such numbers, in least squares, are an
    isotonic regression.
    """
    order = np.argsort(heights, kind="stable")
    offsets = gap * np.arange(order.size)
    placed: FloatArray = np.empty(order.size)
    placed[order] = isotonic_regression(heights[order] - offsets).x + offsets
    placed -= max(0.0, placed.max() - 1)
    placed += max(0.0, -placed.min())
    return placed


def _draw(ax: Axes, panel: pd.DataFrame) -> list[_Label]:
    """Draw the lines, bands and threshold of one environment and return what is to be written beside them."""
    labels = []
    for place, (name, curve) in enumerate(panel.groupby("configuration_name", sort=False)):
        colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.7}
        band = ax.fill_between(curve["steps"], curve["low"], curve["high"], color=(colour, 0.12))
        band.set(edgecolor=(colour, 0.3), linewidth=0.5)
        ax.plot(curve["steps"], curve["iqm"], marker="o" if len(curve) == 1 else None, **style)
        labels.append(_Label(str(name), curve["steps"].iloc[-1], curve["iqm"].iloc[-1], style))
    for threshold in panel["threshold"].dropna().unique():
        style = {"color": PALE, "linestyle": (0, (4, 3)), "linewidth": 0.8}
        ax.axhline(threshold, zorder=1, **style)
        labels.append(_Label(f"threshold {threshold:g}", panel["steps"].max(), threshold, style))
    return labels


def _dress(ax: Axes, environment: str, panel: pd.DataFrame) -> None:
    """Set the titles, labels, ticks and limits of one environment."""
    few, many = panel["n"].min(), panel["n"].max()
    seeds = f"{many} seeds" if few == many else f"{few} to {many} seeds"
    caption = f"IQM over {seeds}, 95 % bootstrap band" if many > 1 else "one seed"
    ax.set_title(environment, loc="left", fontsize=11, fontweight="bold", color=INK)
    ax.set_title(caption, loc="right", fontsize=8.5, color=PALE)
    ax.set_ylabel("evaluation return (undiscounted)", color=INK)
    ax.set_xlim(0, panel["steps"].max())
    ax.set_ylim(ax.get_ylim())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: thousands(steps, digits=6)))
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, labelsize=9, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)


def _write(ax: Axes, labels: Sequence[_Label], gap: float) -> None:
    """Write the labels in a column right of the axes, each tied to the end of its line."""
    ends = ax.transLimits.transform([(label.step, label.value) for label in labels])
    beside: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False}
    for label, (x, y), height in zip(labels, ends, spread(ends[:, 1], gap), strict=True):
        ax.plot([x, 1.04], [y, height], color=label.style["color"], linewidth=0.6, alpha=0.7, **beside)
        ax.plot([1.04, 1.09], [height, height], **label.style, **beside)
        ax.text(1.105, height, label.text, va="center", fontsize=9, color=INK, **beside)


def _save(figure: Figure, frame: pd.DataFrame, stem: Path) -> list[Path]:
    picture, drawing, data = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg", "csv"))
    figure.savefig(picture, bbox_inches="tight")
    with rc_context({"svg.hashsalt": "pgexp"}):  # with no date either: the same numbers give the same file
        figure.savefig(drawing, bbox_inches="tight", metadata={"Date": None})
    frame.to_csv(data, index=False)
    return [picture, drawing, data]
