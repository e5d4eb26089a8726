"""Figure of the differences (forest plot), each with its interval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgexp.comparison.figures.layout import axis_limits, bottom_axes, max_rows, row_panels
from pgexp.comparison.figures.style import (
    MINUS,
    PALE,
    SMALL,
    Chosen,
    Width,
    add_caption,
    count_text,
    save,
    short_names,
    split,
    styled,
)
from pgexp.comparison.pairwise import ALPHA
from pgexp.schema.palette import COLOURS

SIDES: Final = ("configuration_name", "reference")
LEAST_P: Final = 0.001  # smaller p values are written as < .001


def plot_differences(differences: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_differences` and the frame (`style.save`); return the paths."""
    return save(draw_differences, differences, stem)


def draw_differences(differences: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the frame of `differences`, a panel per environment, a row per pair.

    A mark is a configuration's mean minus its reference's, filled if p after Holm's correction, at the right, is below
    .05. An interval that exceeds the panel has no cap there. If a page does not hold all rows, those with the least p
    are drawn (`shown_differences`), and the caption says so.
    """
    labels, title = _labels(differences)
    shown, note = shown_differences(differences)
    panels = dict(split(shown, "environment"))
    with styled():
        figure, axes = row_panels({key: [labels[row] for row in rows.index] for key, rows in panels.items()}, width, 0)
        for ax, rows in zip(axes, panels.values(), strict=True):
            _draw(ax, rows)
        axes[0].set_ylabel(title)
        for ax in bottom_axes(axes):
            ax.set_xlabel("difference of final returns")
        paired = shown["paired"].astype(bool)
        pairing = "paired by seed" if paired.all() else "some paired by seed" if paired.any() else "not paired"
        seeds = count_text(pd.concat([shown["n"], shown["n_reference"]]), "seed")
        what = f"difference of means, {pairing}, {seeds}"
        add_caption(figure, what, "95 % intervals", "filled: p < .05 (Holm)", note)
    return figure


def shown_differences(differences: pd.DataFrame) -> Chosen:
    """Return the rows that are drawn, and a note if others are left out."""
    most = max_rows(differences["environment"].nunique())
    by_environment = differences.groupby("environment", sort=False, observed=True)
    if by_environment.size().max() <= most:
        return Chosen(differences, "")
    kept = by_environment["p_holm"].rank(method="first", na_option="bottom") <= most
    return Chosen(differences[kept], f"the {kept.sum()} of {len(kept)} pairs with the least p")


def _labels(differences: pd.DataFrame) -> tuple[Mapping[Any, str], str]:
    """Return the label of each pair, by the row's index, and the keys that all labels share."""
    sides = [differences[["environment", name]].rename(columns={name: SIDES[0]}) for name in SIDES]
    labels, title = short_names(pd.concat(sides))
    first, second = (differences[name].astype(str).map(labels) for name in SIDES)
    return dict((first + f" {MINUS} " + second).items()), title


def _draw(ax: Axes, rows: pd.DataFrame) -> None:
    ax.axvline(0, color=PALE, linewidth=0.8, zorder=1)
    for place, row in enumerate(rows.to_dict("records")):
        ends = np.nan_to_num([[row["difference"] - row["low"]], [row["high"] - row["difference"]]]).clip(0)
        fill = COLOURS[0] if row["p_holm"] < ALPHA else "white"
        style: dict[str, Any] = {"marker": "o", "color": COLOURS[0], "markerfacecolor": fill}
        ax.errorbar(row["difference"], place, xerr=ends, capsize=1.8, elinewidth=1.2, **style)
        ax.text(1.02, place, _p(row["p_holm"]), transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
    ax.set_title("p (Holm)", loc="right", fontsize=SMALL, fontweight="normal")
    ax.set_xlim(*axis_limits(np.append(rows["difference"], 0), rows["low"], rows["high"]))


def _p(value: float) -> str:
    """Return a p value as in papers: .034, <.001, 1.000."""
    if np.isnan(value):
        return ""
    return f"<{LEAST_P:.3f}".replace("0.", ".") if value < LEAST_P else f"{value:.3f}".removeprefix("0")
