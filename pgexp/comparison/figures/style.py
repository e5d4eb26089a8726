"""Style of figures: column widths of papers, colour-blind safe lines, names of configurations, and files."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import fill, shorten, wrap
from typing import Any, Final, Literal, NamedTuple, cast

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator

from pgexp.schema.palette import COLOURS
from pgexp.statistics.number_format import short_number

Width = Literal["one", "two"]

INCHES: Final[dict[Width, float]] = {"one": 3.3, "two": 6.9}
PAGE: Final = 9.0  # maximum height of a figure in inches
SMALL: Final = 7.0  # points; the smallest that journals print
MEDIUM: Final = 7.5
LARGE: Final = 8.5
EM: Final = 0.56  # mean width of a character of DejaVu Sans, as a share of its size

# The palette's seven colours and four dashes have no common factor, so that 28 lines look different.
DASHES: Final = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
INK: Final = "#333333"
PALE: Final = "#6E6E6E"
GRID: Final = "#E6E6E6"
MINUS: Final = "\N{MINUS SIGN}"
ROUND: Final = (1, 2, 2.5, 5, 10)  # ticks are multiples of these
BAND: Final = 0.15  # opacity
MAX_LINES: Final = 10  # that a reader can distinguish in one panel
MAX_NAME_LINES: Final = 3
NARROW: Final = "-narrow"
FORMATS: Final[dict[str, dict[str, Any]]] = {
    "png": {"dpi": 300},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
_BETWEEN: Final = re.compile(r"\s+(?=[^\s=]+=)")  # values may contain spaces, keys do not

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
    "text.parse_math": False,  # a name may contain dollars
    "pdf.fonttype": 42,  # TrueType: publishers reject Type 3
    "svg.hashsalt": "pgexp",  # equal numbers give equal files
}


class ShortNumbers(Formatter):
    """Ticks with the fewest digits that distinguish them: 0, 50k, 1.25M, 0.001."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the text of one tick."""
        return short_number(x, digits=6).replace("-", MINUS)

    def format_ticks(self, values: list[float]) -> list[str]:
        """Return the texts of all ticks, with enough digits that they differ."""
        short = ([short_number(value, digits) for value in values] for digits in range(3, 7))
        texts = next(
            (texts for texts in short if len(set(texts)) == len(values)), [f"{value:,.12g}" for value in values]
        )
        return [text.replace("-", MINUS) for text in texts]


class Naming(NamedTuple):
    """The labels of a figure's configurations by name, and the keys that all labels share."""

    labels: Mapping[str, str]
    title: str

    def of(self, frame: pd.DataFrame) -> "pd.Series[str]":
        """Return the label of each row of a frame."""
        return frame["configuration_name"].astype(str).map(self.labels)


class Chosen(NamedTuple):
    """The rows that are drawn, and a note on the others (empty if there are none)."""

    frame: pd.DataFrame
    note: str


def styled() -> AbstractContextManager[None]:
    """Return the context in which figures are made and saved."""
    return rc_context(cast(Any, STYLE))  # the stubs want literal keys


def blank_figure(width: Width, height: float) -> Figure:
    """Return an empty figure of a column width and a height in inches, with constrained layout."""
    figure = Figure(figsize=(INCHES[width], height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line_styles(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the colour and dashes of each label's line, in the labels' order."""
    return {
        label: {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}
        for place, label in enumerate(dict.fromkeys(labels))
    }


def add_caption(figure: Figure, *parts: str) -> None:
    """Write a caption above the panels from the parts that are not empty."""
    characters = int(figure.get_figwidth() * 72 / (SMALL * EM))
    figure.suptitle(fill("; ".join(filter(None, parts)), characters), x=0.01, ha="left", fontsize=SMALL, color=PALE)


def style_axes(ax: Axes, grid: Literal["x", "y"], ticks: int) -> None:
    """Give the axes short numbers, at most this many ticks on the x axis, and pale grid lines."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(ShortNumbers())
    ax.xaxis.set_major_locator(MaxNLocator(ticks, steps=ROUND))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    ax.grid(axis=grid, color=GRID, linewidth=0.6)
    ax.tick_params(length=2.5, width=0.6)


def count_text(numbers: Iterable[int], what: str) -> str:
    """Return ``5 seeds``, ``3 to 5 seeds`` or ``1 seed``."""
    few, many = min(different := set(numbers)), max(different)
    return f"{few} to {many} {what}s" if few < many else f"{many} {what}" + ("s" if many != 1 else "")


def best_rows(
    frame: pd.DataFrame, labels: "pd.Series[str]", scores: "pd.Series[float]", most: int, what: str
) -> Chosen:
    """Return the rows of at most `most` labels, those with the best scores (one per row; NaN is the worst).

    The last row of each label and environment counts. Over several environments labels are ordered by mean rank. The
    rows keep their order. `what` names the score in the note.
    """
    if labels.nunique() <= most:
        return Chosen(frame, "")
    last = pd.DataFrame({"label": labels, "score": scores, "environment": frame["environment"]})
    last = last.groupby(["environment", "label"], sort=False, observed=True).tail(1)
    last["rank"] = last.groupby("environment", observed=True)["score"].rank(ascending=False, na_option="bottom")
    ranks = last.groupby("label", sort=False)["rank"].mean().sort_values(kind="stable")
    kept = labels.isin(ranks.index[:most])
    return Chosen(frame[kept], f"the {most} of {labels.nunique()} configurations with the best {what}")


def split(frame: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each text in a column, in order of appearance. Raises ValueError if there are no rows."""
    _check(frame)
    return [(str(text), rows) for text, rows in frame.groupby(column, sort=False, observed=True)]


def short_names(frame: pd.DataFrame) -> Naming:
    """Return short labels of a frame's configurations (columns environment and configuration_name).

    A name is read as ``key=value key=value``. Keys with one value for all configurations, or for all of each
    environment, are left out: the panel's title names the environment. If the others have the same keys, these become
    the title, and the labels are the values. So a configuration has one label and colour in all environments. Names of
    another form, and names whose labels would be equal, stay whole. Raises ValueError if there are no rows.
    """
    _check(frame)
    pairs = frame[["environment", "configuration_name"]].astype(str).drop_duplicates()
    names = list(dict.fromkeys(pairs["configuration_name"]))
    parsed = {name: _parse(name) for name in names}
    whole = Naming({name: name for name in names}, "")
    if len(names) == 1 or not all(parsed.values()):
        return whole
    known = pd.DataFrame([parsed[name] for name in pairs["configuration_name"]], index=pairs["environment"])
    differs = (known.fillna("").groupby(level=0).nunique() > 1).any()
    kept = {name: {key: value for key, value in parsed[name].items() if differs[key]} for name in names}
    keys = {tuple(own) for own in kept.values()}
    if len(keys) == 1 and keys != {()}:
        return Naming({name: ", ".join(own.values()) for name, own in kept.items()}, ", ".join(next(iter(keys))))
    labels = {name: " ".join(map("=".join, own.items())) or name for name, own in kept.items()}
    called = pairs.assign(label=pairs["configuration_name"].map(labels))
    return whole if called.duplicated(["environment", "label"]).any() else Naming(labels, "")


def wrap_name(text: str, characters: int) -> str:
    """Return a label in at most three lines of at most `characters` characters, cut with an ellipsis."""
    lines = wrap(text, characters, break_on_hyphens=False)
    if len(lines) <= MAX_NAME_LINES:
        return "\n".join(lines)
    last = shorten(" ".join(lines[MAX_NAME_LINES - 1 :]), characters, placeholder="…")
    last = last if last != "…" else lines[MAX_NAME_LINES - 1][: characters - 1] + "…"
    return "\n".join([*lines[: MAX_NAME_LINES - 1], last])


def longest_line(labels: Iterable[str]) -> int:
    """Return the number of characters of the longest line of the labels."""
    return max((len(line) for label in labels for line in label.split("\n")), default=0)


def save(draw: Callable[[pd.DataFrame, Width], Figure], frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of a frame in both widths, and the frame as CSV; return the paths.

    stem.png, .svg and .pdf are two columns wide (6.9 inches), stem-narrow.* one (3.3 inches); stem.csv has the numbers.
    Files contain no date, so that equal frames give equal bytes. The folder is created if needed.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    widths: tuple[tuple[str, Width], ...] = (("", "two"), (NARROW, "one"))
    paths = []
    with styled():
        for suffix, width in widths:
            figure = draw(frame, width)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # all formats keep the first layout
            for kind, options in FORMATS.items():
                paths.append(stem.with_name(f"{stem.name}{suffix}.{kind}"))
                figure.savefig(paths[-1], **options)
    paths.append(stem.with_name(f"{stem.name}.csv"))
    frame.to_csv(paths[-1], index=False)
    return paths


def _check(frame: pd.DataFrame) -> None:
    if frame.empty:
        raise ValueError("a figure needs a frame with rows")


def _parse(name: str) -> dict[str, str]:
    """Return the keys and values of a name, empty if it has another form."""
    tokens = _BETWEEN.split(name)
    return dict(token.split("=", 1) for token in tokens) if all("=" in token for token in tokens) else {}
