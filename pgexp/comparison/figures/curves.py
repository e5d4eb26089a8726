"""The figure of the learning curves, legible in grey print and to the colour-blind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgexp.comparison.figures.choosing import MOST, Chosen, best
from pgexp.comparison.figures.naming import Naming, naming, split
from pgexp.comparison.figures.panels import Legend, bottom_of, grid, left_of, limits
from pgexp.comparison.figures.saving import save
from pgexp.comparison.figures.style import PALE, Width, caption, counted, dress, looks, styled

BAND: Final = 0.15  # opacity
LIMIT: Final[dict[str, Any]] = {"color": PALE, "linestyle": (0, (4, 3)), "linewidth": 1.0}

END: Final[dict[str, Any]] = {"linestyle": "none", "marker": "|", "markersize": 8, "markeredgewidth": 1.3}


def plot_curves(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_curves` and the frame beside it (`saving.save`); return the files."""
    return save(draw_curves, frame, stem)


def draw_curves(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the learning curves of `curves.curve_frame`, a panel an environment.

    A line is the interquartile mean over the seeds that are there at that step, its band the interval; a bar
    across the line marks where a seed ends before the others. Of more than MOST configurations those
    with the best last IQM are drawn (`shown_curves`), which the caption says.
    """
    return _figure(frame, width, "evaluation return", "95 % trimmed-mean t band")


def plot_sample_efficiency(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_sample_efficiency` and the frame beside it (`saving.save`); return the files."""
    return save(draw_sample_efficiency, frame, stem)


def draw_sample_efficiency(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of `sample_efficiency.sample_efficiency`, as `draw_curves` draws learning curves."""
    until = "up to the steps that all environments have"
    return _figure(frame, width, "normalised return", "95 % stratified bootstrap t band", until)


def _figure(frame: pd.DataFrame, width: Width, returns: str, band: str, until: str = "") -> Figure:
    names = naming(frame)
    shown, note = shown_curves(frame, names)
    styles = looks(names.of(shown))
    panels = split(shown, "environment")
    with styled():
        legend = _legend(styles, names, shown["threshold"].dropna(), width)
        figure, axes = grid(len(panels), width, legend.height)
        for ax, (environment, panel) in zip(axes, panels, strict=True):
            _draw(ax, [(curve, styles[names.labels[name]]) for name, curve in split(panel, "configuration_name")])
            _dress(ax, environment, panel, ticks=6 if width == "two" and len(panels) == 1 else 4)
        for ax in left_of(axes):
            ax.set_ylabel(returns)
        for ax in bottom_of(axes):
            ax.set_xlabel("environment steps")
        legend.write(figure)
        caption(figure, *_caption(shown, band), until, note)
    return figure


def shown_curves(frame: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows of the configurations that are drawn, and a sentence if these are not all."""
    return best(frame, (names or naming(frame)).of(frame), frame["iqm"], MOST, "last IQM")


def _draw(ax: Axes, curves: Sequence[tuple[pd.DataFrame, dict[str, Any]]]) -> None:
    """Draw the lines and bands of one environment, each in its look."""
    for curve, style in curves:
        steps, iqm, low, high, n = (curve[column].to_numpy(float) for column in ("steps", "iqm", "low", "high", "n"))
        if len(curve) == 1:
            ax.vlines(steps, low, high, color=style["color"], linewidth=1.0)
        ax.fill_between(steps, low, high, color=style["color"], alpha=BAND, linewidth=0)
        ax.plot(steps, iqm, marker="o" if len(curve) == 1 else None, **style)
        ends = np.flatnonzero(np.diff(n) < 0)
        ax.plot(steps[ends], iqm[ends], color=style["color"], **END)


def _dress(ax: Axes, environment: str, panel: pd.DataFrame, ticks: int) -> None:
    for threshold in panel["threshold"].dropna().unique():
        ax.axhline(threshold, zorder=1, **LIMIT)
    ax.set_title(environment)
    dress(ax, "y", ticks)
    ax.set_xlim(0, 1.02 * panel["steps"].max() or 1)
    values = np.concatenate([panel["iqm"], panel["threshold"].dropna()])
    ax.set_ylim(*limits(values, panel["low"], panel["high"]))


def _legend(styles: dict[str, dict[str, Any]], names: Naming, thresholds: "pd.Series[float]", width: Width) -> Legend:
    handles: list[Artist] = [Line2D([], [], **style) for style in styles.values()]
    labels = list(styles)
    if len(thresholds):
        handles.append(Line2D([], [], **LIMIT))
        labels.append(f"threshold {thresholds.iloc[0]:g}" if thresholds.nunique() == 1 else "threshold")
    return Legend(handles, labels, names.title, width)


def _caption(shown: pd.DataFrame, band: str) -> tuple[str, str, str]:
    falls = shown.groupby(["environment", "configuration_name"], observed=True)["n"].diff() < 0
    band = band if shown["low"].notna().any() else ""
    return f"IQM over {counted(shown['n'], 'seed')}", band, "bar: a seed ends" if falls.any() else ""
