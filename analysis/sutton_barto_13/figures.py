"""The book's figures of the short corridor: the total reward of an episode, averaged over runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import t

from analysis.sutton_barto_13.simulation import BLOCK, OPTIMUM, Array, Setting
from pgexp.comparison.figures.style import INK, PALE
from pgexp.schema.palette import COLOURS

SIZE: Final = (6.9, 3.2)  # inches: two columns
RANGE: Final = (-90.0, -8.0)
DOTS: Final[dict[str, Any]] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (1, 1.5))}
OPTIMAL: Final[dict[str, Any]] = {"color": PALE, "linewidth": 0.8, "linestyle": (0, (4, 3))}


def plot(trained: Mapping[Setting, Array], expected: Mapping[str, Any], stem: Path) -> list[Path]:
    """Draw pgexp's runs of each setting on the left and the book's order on the right; return stem.png and stem.svg.

    trained: [episodes, R]. A point is the mean over BLOCK episodes and all runs, its band the 95 % t interval over
    runs. The pale line is the mean over runs of each episode, as in the book. The dotted line is the simulation.
    """
    with rc_context({"svg.hashsalt": "sutton_barto_13", "font.size": 8.5}):  # the salt makes files reproducible
        figure = Figure(figsize=SIZE, dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharey=True)
        for (setting, returns), colour in zip(trained.items(), COLOURS, strict=False):
            by_order = expected[str(setting)]
            _draw_runs(left, returns, colour, _label(setting))
            left.plot(*_points(by_order["episode"]["curve"]), **DOTS)
            right.plot(*_points(by_order["step"]["curve"]), color=colour, linewidth=1.5)
        left.plot([], [], **DOTS, label="simulated")
        runs = max(part.shape[1] for part in trained.values())
        _style_axes(left, f"updates summed: pgexp, {runs} runs")
        _style_axes(right, "at every step: simulated, 1,000 runs")
        left.set_ylabel("total reward of the episode", color=INK)
        left.legend(loc="lower right", frameon=False, labelcolor=INK)
        files = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
        for file in files:
            figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files


def _label(setting: Setting) -> str:
    if setting.alpha_w is None:
        return rf"$\alpha = 2^{{{setting.alpha}}}$"
    return rf"$\alpha^\theta = 2^{{{setting.alpha}}}$, $\alpha^w = 2^{{{setting.alpha_w}}}$"


def _draw_runs(ax: Axes, returns: Array, colour: str, label: str) -> None:
    runs = returns.shape[1]
    ax.plot(np.arange(1, len(returns) + 1), returns.mean(1), color=colour, linewidth=0.4, alpha=0.35)
    blocks = returns.reshape(-1, BLOCK, runs).mean(1)
    mean, half = blocks.mean(1), t.ppf(0.975, runs - 1) * blocks.std(1, ddof=1) / np.sqrt(runs)
    middles, _ = _points(mean)
    ax.fill_between(middles, mean - half, mean + half, color=colour, alpha=0.25, linewidth=0)
    ax.plot(middles, mean, color=colour, linewidth=1.5, label=label)


def _points(curve: Sequence[float] | Array) -> tuple[Array, Array]:
    """Return the middle of each block, in episodes counted from 1, and its value."""
    return BLOCK * np.arange(len(curve)) + (BLOCK + 1) / 2, np.asarray(curve)


def _style_axes(ax: Axes, title: str) -> None:
    ax.axhline(OPTIMUM, **OPTIMAL)
    ax.text(990, OPTIMUM + 3.2, r"$v_*(s_0)$", ha="right", va="bottom", color=PALE)
    ax.set_xlim(0, 1000)
    ax.set_ylim(RANGE[0], RANGE[1] + 4)
    ax.set_xlabel("episode", color=INK)
    ax.set_title(title, loc="left", fontsize=8.5, color=INK)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)
