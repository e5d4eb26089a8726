"""Figure of the estimates: each configuration's interquartile mean and mean, with intervals and seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgexp.comparison.figures.layout import Legend, axis_limits, bottom_axes, max_rows, row_panels
from pgexp.comparison.figures.style import (
    PALE,
    SMALL,
    Chosen,
    Naming,
    Width,
    add_caption,
    best_rows,
    count_text,
    save,
    short_names,
    split,
    styled,
)
from pgexp.comparison.inclusion import exclusion_reasons
from pgexp.schema.names import FINAL_RETURN
from pgexp.schema.palette import COLOURS
from pgexp.statistics.point_estimates import FloatArray

ESTIMATES: Final[Mapping[str, tuple[str, float, dict[str, Any]]]] = {
    "iqm": ("IQM", -0.15, {"marker": "o", "color": COLOURS[0]}),
    "mean": ("mean", 0.15, {"marker": "D", "color": COLOURS[1], "markerfacecolor": "white"}),
}
"""The label of each estimate, its vertical offset within a row, and its style."""
SEED: Final[dict[str, Any]] = {"linestyle": "none", "marker": "|", "markersize": 7, "color": PALE, "alpha": 0.6}


def plot_intervals(summary: pd.DataFrame, stem: Path, runs: pd.DataFrame | None = None) -> list[Path]:
    """Write the figure of `draw_intervals` and the summary (`style.save`); return the paths."""
    return save(lambda frame, width: draw_intervals(frame, width, runs), summary, stem)


def draw_intervals(summary: pd.DataFrame, width: Width = "two", runs: pd.DataFrame | None = None) -> Figure:
    """Return the figure of the estimates of `summary`, a panel per environment, a row per configuration.

    With the runs of `frames.runs` each counted seed's score is a tick. An interval that exceeds the panel has no cap
    there. If a page does not hold all rows, those with the best interquartile means are drawn (`shown_intervals`), and
    the caption says so. The row of a configuration without a score says so.
    """
    names = short_names(summary)
    shown, note = shown_intervals(summary, names)
    panels = dict(split(shown, "environment"))
    scores = {} if runs is None else _scores(runs)
    with styled():
        legend = _legend(width, with_seeds=bool(scores))
        labels = {environment: list(names.of(rows)) for environment, rows in panels.items()}
        figure, axes = row_panels(labels, width, legend.height)
        for ax, rows in zip(axes, panels.values(), strict=True):
            _draw(ax, rows, [scores.get(str(name), np.empty(0)) for name in rows["configuration_name"]])
        axes[0].set_ylabel(names.title)
        for ax in bottom_axes(axes):
            ax.set_xlabel("final return")
        legend.add_to(figure)
        add_caption(figure, count_text(shown["n"], "seed"), _methods(shown), note)
    return figure


def shown_intervals(summary: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows that are drawn, and a note if others are left out."""
    labels = (names or short_names(summary)).of(summary)
    return best_rows(summary, labels, summary["iqm"], max_rows(summary["environment"].nunique()), "IQM")


def _scores(runs: pd.DataFrame) -> Mapping[str, FloatArray]:
    """Return the scores that count, by configuration."""
    counted = runs[exclusion_reasons(runs) == ""].groupby("configuration_name", observed=True)[FINAL_RETURN]
    return {str(name): own.to_numpy(float) for name, own in counted}


def _draw(ax: Axes, rows: pd.DataFrame, scores: Sequence[FloatArray]) -> None:
    places = np.arange(len(rows))
    for place, own in enumerate(scores):
        ax.plot(own, np.full(own.size, place), zorder=1, **SEED)
    for column, (_, offset, style) in ESTIMATES.items():
        value, low, high = (rows[name].to_numpy(float) for name in (column, f"{column}_low", f"{column}_high"))
        reach = np.nan_to_num([value - low, high - value]).clip(0)
        ax.errorbar(value, places + offset, xerr=reach, linestyle="none", capsize=1.8, elinewidth=1.2, **style)
    for place in places[rows["iqm"].isna()]:
        ax.text(0.02, place, "no final score", transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
    values = np.concatenate([rows["iqm"], rows["mean"], *scores])
    ends = [np.concatenate([rows[f"iqm_{end}"], rows[f"mean_{end}"]]) for end in ("low", "high")]
    ax.set_xlim(*axis_limits(values, *ends))


def _legend(width: Width, with_seeds: bool) -> Legend:
    handles: list[Artist] = [Line2D([], [], **style) for _, _, style in ESTIMATES.values()]
    labels = [label for label, _, _ in ESTIMATES.values()]
    if with_seeds:
        handles.append(Line2D([], [], **SEED))
        labels.append("one seed")
    return Legend(handles, labels, "", width)


def _methods(shown: pd.DataFrame) -> str:
    """Return the methods of the intervals, from the summary's columns."""
    methods = {label: shown[f"{column}_method"].dropna().unique() for column, (label, _, _) in ESTIMATES.items()}
    listed = ", ".join(f"{label} by {' or '.join(own)}" for label, own in methods.items() if len(own))
    return f"95 % intervals ({listed})" if listed and shown["mean_low"].notna().any() else ""
