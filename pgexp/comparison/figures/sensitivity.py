"""The figure of the sensitivities: the score over each hyper-parameter's values."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pgexp.comparison.factors import numbers
from pgexp.comparison.figures.naming import split, wrapped
from pgexp.comparison.figures.panels import Legend, grid, left_of, limits
from pgexp.comparison.figures.saving import save
from pgexp.comparison.figures.style import Width, caption, counted, dress, styled
from pgexp.schema.palette import COLOURS
from pgexp.statistics.intervals import FloatArray

KINDS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "marginal": ("mean over the other hyper-parameters", {"color": COLOURS[0], "linestyle": "-", "marker": "o"}),
    "best": ("others at their best (chosen on these seeds)", {"color": COLOURS[1], "linestyle": "--", "marker": "s"}),
}
"""What the kinds of the frame are called, and their look."""
BAND: Final = 0.15  # opacity
ASIDE: Final = 0.1  # of the way to the next category: how far the kinds stand apart
TICKS: Final = 4  # numbers that are written below a panel
CHARACTERS: Final = 26  # of all values below a panel, beyond which they are written aslant


def plot_sensitivity(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_sensitivity` and the frame beside it (`saving.save`); return the files."""
    return save(draw_sensitivity, frame, stem)


def draw_sensitivity(frame: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of `sensitivity.sensitivity`, a panel an environment and hyper-parameter.

    The axis of a hyper-parameter is logarithmic where its values are spaced more evenly so; values that are no
    numbers stand side by side, and no line joins them. The panels of an environment have the same axis of scores.
    """
    environments = split(frame, "environment")
    panels = [(environment, *one) for environment, own in environments for one in split(own, "factor")]
    with styled():
        legend = _legend(width) if frame["kind"].nunique() > 1 else None
        figure, axes = grid(len(panels), width, legend.height if legend else 0)
        for ax, (environment, factor, rows) in zip(axes, panels, strict=True):
            _draw(ax, rows)
            own = frame[frame["environment"] == environment]
            ax.set_ylim(*limits(own["score"], own["low"], own["high"]))
            ax.set_title(environment if len(environments) > 1 or ax is axes[0] else "")
            ax.set_xlabel(wrapped(factor, 30))
        for ax in left_of(axes):
            ax.set_ylabel("final return")
        if legend:
            legend.write(figure)
        band = "95 % interval over seeds" if frame["low"].notna().any() else ""
        caption(figure, f"mean over {counted(frame['n'], 'seed')}", band)
    return figure


def geometric(values: FloatArray) -> bool:
    """Return whether rising values are spaced more evenly on a logarithmic axis than on a linear one."""
    if values.size < 2 or values[0] <= 0:
        return False
    if values.size == 2:
        return bool(values[1] >= 5 * values[0])
    spreads = [np.std(steps) / np.mean(steps) for steps in (np.diff(np.log(values)), np.diff(values))]
    return bool(spreads[0] < spreads[1])


def _draw(ax: Axes, rows: pd.DataFrame) -> None:
    known = numbers(rows["value"])
    places = {text: place for place, text in enumerate(dict.fromkeys(rows["value"].astype(str)))}
    at = rows["value"].astype(str).map(places).astype(float) if known is None else known
    dress(ax, "y", TICKS)
    kinds = split(rows.assign(at=at).sort_values("at"), "kind")
    for place, (kind, own) in enumerate(kinds):
        style = KINDS[kind][1]
        if known is None or len(own) == 1:
            reach = np.nan_to_num([own["score"] - own["low"], own["high"] - own["score"]]).clip(0)
            aside = 0 if len(kinds) == 1 or known is not None else ASIDE * (2 * place - 1)
            ax.errorbar(own["at"] + aside, own["score"], yerr=reach, capsize=1.8, **style | {"linestyle": "none"})
        else:
            ax.fill_between(own["at"], own["low"], own["high"], color=style["color"], alpha=BAND, linewidth=0)
            ax.plot(own["at"], own["score"], **style)
    _values(ax, np.unique(at), list(places) if known is None else None)


def _values(ax: Axes, at: FloatArray, texts: Sequence[str] | None) -> None:
    """Write the values below the axis: texts aslant where they are long, of many numbers every second, third, ..."""
    if texts is not None:
        slant: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(at, labels=texts, **(slant if len(max(texts, key=len)) * len(texts) > CHARACTERS else {}))
        ax.set_xlim(-0.5, len(at) - 0.5)
        return
    if geometric(at):
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    some = at[:: ceil(len(at) / TICKS)]
    ax.set_xticks(some, labels=[f"{value:g}" for value in some])


def _legend(width: Width) -> Legend:
    handles = [Line2D([], [], **style) for _, style in KINDS.values()]
    return Legend(handles, [label for label, _ in KINDS.values()], "", width)
