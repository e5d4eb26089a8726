"""How figures look: sizes of a paper's columns, colours for the colour-blind, dashes and markers for grey print."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from textwrap import fill
from typing import Any, Final, Literal, cast

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator

from pgexp.comparison.labels import thousands
from pgexp.schema.palette import COLOURS

Width = Literal["one", "two"]

INCHES: Final[dict[Width, float]] = {"one": 3.3, "two": 6.9}
PAGE: Final = 9.0  # inches that a figure may be high
SMALL: Final = 7.0  # points, as all sizes of text here: the least that journals print
MEDIUM: Final = 7.5
LARGE: Final = 8.5
EM: Final = 0.56  # of the size: what a character of DejaVu Sans takes in the mean

# The palette's seven colours and four dashes have no common factor, so that 28 lines look different.
DASHES: Final = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
INK: Final = "#333333"
PALE: Final = "#6E6E6E"
GRID: Final = "#E6E6E6"
MINUS: Final = "\N{MINUS SIGN}"
ROUND: Final = (1, 2, 2.5, 5, 10)  # what ticks are multiples of

STYLE: Final[dict[str, Any]] = {
    "font.size": MEDIUM,
    "axes.labelsize": MEDIUM,
    "axes.titlesize": LARGE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": PALE,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "hatch.linewidth": 0.5,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 100,
    "text.parse_math": False,  # a configuration's name may hold dollars
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "svg.hashsalt": "pgexp",  # the same numbers give the same file
}


class ShortNumbers(Formatter):
    """Ticks as short as tells them apart: 0, 50k, 1.25M, 0.001."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the text of one tick."""
        return thousands(x, digits=6).replace("-", MINUS)

    def format_ticks(self, values: list[float]) -> list[str]:
        """Return the texts of all ticks, with as many digits as make them differ."""
        short = ([thousands(value, digits) for value in values] for digits in range(3, 7))
        texts = next(
            (texts for texts in short if len(set(texts)) == len(values)), [f"{value:,.12g}" for value in values]
        )
        return [text.replace("-", MINUS) for text in texts]


def counted(numbers: Iterable[int], what: str) -> str:
    """Return ``5 seeds``, ``3 to 5 seeds`` or ``1 seed``."""
    few, many = min(different := set(numbers)), max(different)
    return f"{few} to {many} {what}s" if few < many else f"{many} {what}" + ("s" if many != 1 else "")


def styled() -> AbstractContextManager[None]:
    """Return the context in which figures are made and saved."""
    return rc_context(cast(Any, STYLE))  # its keys are literals


def blank(width: Width, height: float) -> Figure:
    """Return an empty figure of a column's width and a height in inches, whose parts make room for each other."""
    figure = Figure(figsize=(INCHES[width], height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the colour and dashes of each different label's line, in the labels' order."""
    different = enumerate(dict.fromkeys(labels))
    return {
        label: {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}
        for place, label in different
    }


def caption(figure: Figure, *parts: str) -> None:
    """Write above the panels what is drawn, in parts of which empty ones are left out."""
    characters = int(figure.get_figwidth() * 72 / (SMALL * EM))
    figure.suptitle(fill("; ".join(filter(None, parts)), characters), x=0.01, ha="left", fontsize=SMALL, color=PALE)


def dress(ax: Axes, grid: Literal["x", "y"], ticks: int) -> None:
    """Give the axes short numbers, at most so many ticks and pale lines across."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(ShortNumbers())
    ax.xaxis.set_major_locator(MaxNLocator(ticks, steps=ROUND))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    ax.grid(axis=grid, color=GRID, linewidth=0.6)
    ax.tick_params(length=2.5, width=0.6)
