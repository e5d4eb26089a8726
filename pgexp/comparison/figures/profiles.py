"""The figure of the performance profiles: the share of runs above each score."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pgexp.comparison.figures.choosing import MOST, Chosen, best
from pgexp.comparison.figures.naming import Naming, naming, split
from pgexp.comparison.figures.panels import Legend, bottom_of, grid, left_of
from pgexp.comparison.figures.saving import save
from pgexp.comparison.figures.style import Width, caption, counted, dress, looks, styled

BAND: Final = 0.12  # opacity


def plot_profiles(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_profiles` and the frame beside it (`saving.save`); return the files."""
    return save(draw_profiles, frame, stem)


def draw_profiles(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the profiles of `profiles.profile_frame`, a panel an environment.

    Of more than MOST configurations those with the best medians are drawn (`shown_profiles`), which the caption says.
    """
    names = naming(frame)
    shown, note = shown_profiles(frame, names)
    styles = looks(names.of(shown))
    panels = split(shown, "environment")
    with styled():
        legend = Legend([Line2D([], [], **style) for style in styles.values()], list(styles), names.title, width)
        figure, axes = grid(len(panels), width, legend.height, sharey=True)
        for ax, (environment, panel) in zip(axes, panels, strict=True):
            dress(ax, "y", ticks=6 if width == "two" and len(panels) == 1 else 4)
            _draw(ax, [(profile, styles[names.labels[name]]) for name, profile in split(panel, "configuration_name")])
            ax.set_xlim(panel["score"].min(), panel["score"].max())
            ax.set_title(environment)
        for ax in left_of(axes):
            ax.set_ylabel("runs above the score")
        for ax in bottom_of(axes):
            ax.set_xlabel("final return")
        legend.write(figure)
        caption(figure, f"{counted(shown['n'], 'run')} a line", "95 % exact binomial band at each score", note)
    return figure


def shown_profiles(frame: pd.DataFrame, names: Naming | None = None) -> Chosen:
    """Return the rows of the configurations that are drawn, and a sentence if these are not all."""
    keys = [frame["environment"], frame["configuration_name"]]
    medians = frame["score"].where(frame["share"] >= 0.5).groupby(keys, observed=True).transform("max")
    return best(frame, (names or naming(frame)).of(frame), medians, MOST, "median")


def _draw(ax: Axes, profiles: Sequence[tuple[pd.DataFrame, dict[str, Any]]]) -> None:
    for profile, style in profiles:
        ends = {"step": "post", "color": style["color"], "alpha": BAND, "linewidth": 0}
        ax.fill_between(profile["score"], profile["low"], profile["high"], **ends)
        ax.plot(profile["score"], profile["share"], drawstyle="steps-post", **style)
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
