"""Figures of learning curves, on each environment and across environments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgexp.comparison.figures.layout import Legend, axis_limits, bottom_axes, left_axes, panel_grid
from pgexp.comparison.figures.style import (
    BAND,
    MAX_LINES,
    PALE,
    Chosen,
    Naming,
    Width,
    add_caption,
    best_rows,
    count_text,
    line_styles,
    save,
    short_names,
    split,
    style_axes,
    styled,
)

THRESHOLD: Final[dict[str, Any]] = {"color": PALE, "linestyle": (0, (4, 3)), "linewidth": 1.0}
END: Final[dict[str, Any]] = {"linestyle": "none", "marker": "|", "markersize": 8, "markeredgewidth": 1.3}


def plot_curves(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_curves` and the frame (`style.save`); return the paths."""
    return save(draw_curves, frame, stem)


def draw_curves(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the learning curves of `curve_frame`, a panel per environment.

    A line is the interquartile mean over the seeds at that step, its band the interval; a bar across the line marks the
    end of a shorter seed. Of more than MAX_LINES configurations those with the best last IQM are drawn
    (`shown_curves`), and the caption says so.
    """
    return _figure(frame, width, "evaluation return", "95 % trimmed-mean t band")


def plot_sample_efficiency(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_sample_efficiency` and the frame (`style.save`); return the paths."""
    return save(draw_sample_efficiency, frame, stem)


def draw_sample_efficiency(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the curves of `sample_efficiency`, in the form of `draw_curves`."""
    until = "up to the steps that all environments have"
    return _figure(frame, width, "normalised return", "95 % stratified bootstrap t band", until)


def shown_curves(frame: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows of the configurations that are drawn, and a note if others are left out."""
    return best_rows(frame, (names or short_names(frame)).of(frame), frame["iqm"], MAX_LINES, "last IQM")


def _figure(frame: pd.DataFrame, width: Width, returns: str, band: str, until: str = "") -> Figure:
    names = short_names(frame)
    shown, note = shown_curves(frame, names)
    styles = line_styles(names.of(shown))
    panels = split(shown, "environment")
    with styled():
        legend = _legend(styles, names, shown["threshold"].dropna(), width)
        figure, axes = panel_grid(len(panels), width, legend.height)
        for ax, (environment, panel) in zip(axes, panels, strict=True):
            _draw(ax, [(curve, styles[names.labels[name]]) for name, curve in split(panel, "configuration_name")])
            for threshold in panel["threshold"].dropna().unique():
                ax.axhline(threshold, zorder=1, **THRESHOLD)
            ax.set_title(environment)
            style_axes(ax, "y", ticks=6 if width == "two" and len(panels) == 1 else 4)
            ax.set_xlim(0, 1.02 * panel["steps"].max() or 1)
            values = np.concatenate([panel["iqm"], panel["threshold"].dropna()])
            ax.set_ylim(*axis_limits(values, panel["low"], panel["high"]))
        for ax in left_axes(axes):
            ax.set_ylabel(returns)
        for ax in bottom_axes(axes):
            ax.set_xlabel("environment steps")
        legend.add_to(figure)
        falls = shown.groupby(["environment", "configuration_name"], observed=True)["n"].diff() < 0
        seeds = f"IQM over {count_text(shown['n'], 'seed')}"
        ends = "bar: end of a seed" if falls.any() else ""
        add_caption(figure, seeds, band if shown["low"].notna().any() else "", ends, until, note)
    return figure


def _draw(ax: Axes, curves: Sequence[tuple[pd.DataFrame, dict[str, Any]]]) -> None:
    """Draw the lines and bands of one environment, each in its style."""
    for curve, style in curves:
        steps, iqm, low, high, n = (curve[column].to_numpy(float) for column in ("steps", "iqm", "low", "high", "n"))
        if len(curve) == 1:
            ax.vlines(steps, low, high, color=style["color"], linewidth=1.0)
        ax.fill_between(steps, low, high, color=style["color"], alpha=BAND, linewidth=0)
        ax.plot(steps, iqm, marker="o" if len(curve) == 1 else None, **style)
        ends = np.flatnonzero(np.diff(n) < 0)
        ax.plot(steps[ends], iqm[ends], color=style["color"], **END)


def _legend(styles: dict[str, dict[str, Any]], names: Naming, thresholds: "pd.Series[float]", width: Width) -> Legend:
    handles: list[Artist] = [Line2D([], [], **style) for style in styles.values()]
    labels = list(styles)
    if len(thresholds):
        handles.append(Line2D([], [], **THRESHOLD))
        labels.append(f"threshold {thresholds.iloc[0]:g}" if thresholds.nunique() == 1 else "threshold")
    return Legend(handles, labels, names.title, width)
