"""Figure of the performance profiles: the share of runs above each score."""

from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pgexp.comparison.figures.layout import Legend, bottom_axes, left_axes, panel_grid
from pgexp.comparison.figures.style import (
    MAX_LINES,
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

BAND: Final = 0.12  # opacity


def plot_profiles(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_profiles` and the frame (`style.save`); return the paths."""
    return save(draw_profiles, frame, stem)


def draw_profiles(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the frame of `performance_profiles`, a panel per environment.

    Of more than MAX_LINES configurations those with the best medians are drawn (`shown_profiles`), and the caption says
    so.
    """
    names = short_names(frame)
    shown, note = shown_profiles(frame, names)
    styles = line_styles(names.of(shown))
    panels = split(shown, "environment")
    with styled():
        legend = Legend([Line2D([], [], **style) for style in styles.values()], list(styles), names.title, width)
        figure, axes = panel_grid(len(panels), width, legend.height, sharey=True)
        for ax, (environment, panel) in zip(axes, panels, strict=True):
            style_axes(ax, "y", ticks=6 if width == "two" and len(panels) == 1 else 4)
            for name, profile in split(panel, "configuration_name"):
                style = styles[names.labels[name]]
                band = {"step": "post", "color": style["color"], "alpha": BAND, "linewidth": 0}
                ax.fill_between(profile["score"], profile["low"], profile["high"], **band)
                ax.plot(profile["score"], profile["share"], drawstyle="steps-post", **style)
            ax.set_ylim(-0.02, 1.02)
            ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
            ax.set_xlim(panel["score"].min(), panel["score"].max())
            ax.set_title(environment)
        for ax in left_axes(axes):
            ax.set_ylabel("runs above the score")
        for ax in bottom_axes(axes):
            ax.set_xlabel("final return")
        legend.add_to(figure)
        runs = f"{count_text(shown['n'], 'run')} per line"
        add_caption(figure, runs, "95 % exact binomial band at each score", note)
    return figure


def shown_profiles(frame: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows of the configurations that are drawn, and a note if others are left out."""
    keys = [frame["environment"], frame["configuration_name"]]
    medians = frame["score"].where(frame["share"] >= 0.5).groupby(keys, observed=True).transform("max")
    return best_rows(frame, (names or short_names(frame)).of(frame), medians, MAX_LINES, "median")
