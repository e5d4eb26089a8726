"""The figure of the differences: each with its interval, beside the line of no difference."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgexp.comparison.figures.naming import naming, split
from pgexp.comparison.figures.panels import bottom_of, limits
from pgexp.comparison.figures.rows import most_rows, row_panels
from pgexp.comparison.figures.saving import save
from pgexp.comparison.figures.style import MINUS, PALE, SMALL, Width, caption, counted, styled
from pgexp.schema.palette import COLOURS

SIDES: Final = ("configuration_name", "reference")
ALPHA: Final = 0.05
LEAST: Final = 0.001  # p-values below are not told apart


def plot_differences(differences: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of `draw_differences` and the frame beside it (`saving.save`); return the files."""
    return save(draw_differences, differences, stem)


def draw_differences(differences: pd.DataFrame, width: Width = "two") -> Figure:
    """Return the figure of the differences of `differences.differences`, a panel an environment, a row a pair.

    A mark is a configuration's estimate less its reference's, filled where p after Holm's correction, which stands
    at the right, is below .05. An interval that goes on beyond the panel has no cap there. If a page does not hold
    all rows, those with the least p are drawn (`shown_differences`), which the caption says.
    """
    called, title = _called(differences)
    shown, note = shown_differences(differences)
    panels = dict(split(shown, "environment"))
    with styled():
        figure, axes = row_panels({key: [called[row] for row in rows.index] for key, rows in panels.items()}, width, 0)
        for ax, rows in zip(axes, panels.values(), strict=True):
            _draw(ax, rows)
        axes[0].set_ylabel(title)
        for ax in bottom_of(axes):
            ax.set_xlabel("difference of final returns")
        caption(figure, _what(shown), "95 % intervals", "filled: p < .05 (Holm)", note)
    return figure


def shown_differences(differences: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows that are drawn, and a sentence if these are not all."""
    most = most_rows(differences["environment"].nunique())
    by_environment = differences.groupby("environment", sort=False, observed=True)
    if by_environment.size().max() <= most:
        return differences, ""
    kept = by_environment["p_holm"].rank(method="first", na_option="bottom") <= most
    return differences[kept], f"the {kept.sum()} of {len(kept)} pairs with the least p"


def _called(differences: pd.DataFrame) -> tuple[Mapping[Any, str], str]:
    """Return what each pair is called, by the row's label, and what these names have in common."""
    sides = [differences[["environment", name]].rename(columns={name: SIDES[0]}) for name in SIDES]
    labels, title = naming(pd.concat(sides))
    first, second = (differences[name].astype(str).map(labels) for name in SIDES)
    return dict((first + f" {MINUS} " + second).items()), title


def _draw(ax: Axes, rows: pd.DataFrame) -> None:
    ax.axvline(0, color=PALE, linewidth=0.8, zorder=1)
    for place, row in enumerate(rows.to_dict("records")):
        ends = np.nan_to_num([[row["difference"] - row["low"]], [row["high"] - row["difference"]]]).clip(0)
        filled = COLOURS[0] if row["p_holm"] < ALPHA else "white"
        style: dict[str, Any] = {
            "marker": "o",
            "color": COLOURS[0],
            "markerfacecolor": filled,
            "capsize": 1.8,
            "elinewidth": 1.2,
        }
        ax.errorbar(row["difference"], place, xerr=ends, **style)
        ax.text(1.02, place, _p(row["p_holm"]), transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
    ax.set_title("p (Holm)", loc="right", fontsize=SMALL, fontweight="normal")
    ax.set_xlim(*limits(np.append(rows["difference"], 0), rows["low"], rows["high"]))


def _p(value: float) -> str:
    """Return a p-value as papers write it: .034, <.001, 1.000."""
    if np.isnan(value):
        return ""
    return f"<{LEAST:.3f}".replace("0.", ".") if value < LEAST else f"{value:.3f}".removeprefix("0")


def _what(shown: pd.DataFrame) -> str:
    estimates = " and ".join({"iqm": "IQM", "mean": "mean"}[one] for one in shown["estimate"].dropna().unique())
    paired = shown["paired"].astype(bool)
    how = "paired by seed" if paired.all() else "some paired by seed" if paired.any() else "not paired"
    seeds = counted(pd.concat([shown["n"], shown["n_reference"]]), "seed")
    return f"difference of {estimates}s, {how}, {seeds}"
