"""Tables of a report as text cells, and their Markdown and LaTeX."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isnan
from typing import Any, Final

import pandas as pd

from pgexp.comparison.summary import summary_decimals
from pgexp.statistics.number_format import decimal_places, format_decimal, short_number

MINUS: Final = "\N{MINUS SIGN}"
PAD: Final = "\N{FIGURE SPACE}"  # as wide as a digit
ABSENT: Final = "\N{EN DASH}"
INFINITY: Final = "\N{INFINITY}"
INTERVAL: Final = "[95\N{NO-BREAK SPACE}%]"
TOLERANCE: Final = "tolerance interval"
NAMES: Final = ("configuration", "minus")
FURTHER_NOTES: Final = {
    "area": "Area under the curve: mean evaluation return over the steps that all curves have in common.",
    "tolerance": "Tolerance interval: holds the scores of 90 % of all seeds, with the given confidence.",
    "share": "Share failed or collapsed: exact binomial interval (Clopper-Pearson).",
}
IMPROVEMENT_NOTE: Final = "P(higher): probability that a run of the configuration has a higher score; ties count half."
SPEED: Final = ("steps_to_threshold", "steps_to_threshold_low", "steps_to_threshold_high")
SMALL: Final = r"\footnotesize\setlength{\tabcolsep}{3pt}"  # fits two columns of a paper
_MARKDOWN: Final = re.compile(r"([\\`*_{}<>|$~#&])")
_LATEX: Final = str.maketrans(
    {
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "\n": " ",
        "\N{NO-BREAK SPACE}": "~",
        "\N{INFINITY}": r"$\infty$",
        PAD: r"\phantom{0}",
        MINUS: "$-$",
        ABSENT: "--",
    }
)

Cells = list[str]


@dataclass(frozen=True)
class TextTable:
    """A table of text: columns of equal length by heading; those in `names` hold names, the others numbers."""

    title: str
    columns: dict[str, Cells]
    names: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, row by row."""
        return list(zip(*self.columns.values(), strict=True))


def summary_tables(summary: pd.DataFrame) -> list[TextTable]:
    """Return the main table of each environment: scores of its configurations with intervals."""
    return [_summary(str(environment), rows) for environment, rows in _by_environment(summary)]


def further_tables(summary: pd.DataFrame) -> list[TextTable]:
    """Return the other estimates of each environment: medians, areas, gaps, tolerance and failures with intervals."""
    every = [_further(str(environment), rows) for environment, rows in _by_environment(summary)]
    return [table for table in every if len(table.columns) > 1]


def difference_tables(differences: pd.DataFrame) -> list[TextTable]:
    """Return the differences of each environment, a row per pair."""
    return [_differences(str(environment), rows) for environment, rows in _by_environment(differences)]


def environments_table(environments: pd.DataFrame) -> list[TextTable]:
    """Return the table of normalised scores across environments; none for one environment."""
    if environments.empty:
        return []
    kinds = {"IQM": "iqm", "mean": "mean", "median": "median", "optimality gap": "optimality_gap"}
    columns = {"configuration": _texts(environments["configuration_name"]), "runs": _texts(environments["n"])}
    columns |= {heading: _estimates(environments, name) for heading, name in kinds.items()}
    methods = _join(environments["method"])
    notes = [f"Intervals: {methods}."] if methods else []
    return [TextTable("Normalised score over all environments", _filled(columns), ("configuration",), notes)]


def run_table(runs: pd.DataFrame, score: str) -> TextTable:
    """Return the table of every run: names, status, score, and whether it counts."""
    several = runs["environment"].nunique() > 1
    digits = decimal_places(runs[score])
    columns = {
        **({"environment": _texts(runs["environment"])} if several else {}),
        "configuration": _texts(runs["configuration_name"]),
        "seed": _texts(runs["seed"]),
        "score": [typeset(value, digits) for value in runs[score]],
        "status": _texts(runs["status"].str.lower()),
        "counts": [f"no: {reason}" if reason else "yes" for reason in runs["exclusion"]],
        "run id": _texts(runs["run_id"]),
        "key": _texts(runs["key"]),
    }
    return TextTable("Every run", columns, ("environment", "configuration", "status", "counts", "run id", "key"))


def markdown(tables: Sequence[TextTable], command: str = "") -> str:
    """Return the tables as GitHub's Markdown, each with its notes, and the command that made them."""
    parts = []
    for table in tables:
        rules = [":--" if heading in table.names else "--:" for heading in table.columns]
        rows = [map(escape_markdown, table.columns), rules, *(map(escape_markdown, row) for row in table.rows)]
        lines = [f"### {escape_markdown(table.title)}\n", *(f"| {' | '.join(row)} |" for row in rows)]
        parts.append("\n".join([*lines, *(f"\n{escape_markdown(note)}" for note in table.notes)]))
    return "\n\n".join([*parts, *([f"Made by `{command}`"] if command else [])]) + "\n"


def latex(tables: Sequence[TextTable], name: str, command: str = "") -> str:
    r"""Return the tables as LaTeX: ``\input`` the file in a document with booktabs and T1 fonts.

    Each is a float with a caption, which holds the notes, and the label tab:name-environment.
    """
    heading = ["% Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}."]
    heading += [f"% Made by {' '.join(command.split())}"] if command else []
    return "\n".join([*heading, *(_float(table, name) for table in tables)])


def escape_markdown(text: str) -> str:
    """Return text with special characters escaped for a table's cell, without padding and with a plain minus."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.replace(PAD, "").replace(MINUS, "-").split()))


def escape_latex(text: str) -> str:
    """Return text with special characters escaped."""
    return text.translate(_LATEX)


def typeset(value: float, places: int) -> str:
    """Return `format_decimal` with a true minus and infinity sign; terminal output uses plain ones for copying."""
    return ABSENT if isnan(value) else format_decimal(value, places).replace("-", MINUS).replace("inf", INFINITY)


def typeset_in_text(value: float) -> str:
    """Return a number with four digits, for a sentence."""
    return typeset(value, decimal_places([value]))


def probability(value: float, places: int = 4) -> str:
    """Return a p value or share as in journals: .0134, <.0001, 1.0000; a dash for NaN."""
    if isnan(value):
        return ABSENT
    least = 10.0**-places
    is_less = 0 <= value < least
    text = f"{least if is_less else value:.{places}f}"
    return "<" * is_less + (text.removeprefix("0") if text.startswith("0.") else text)


def with_intervals(values: Iterable[float], lows: Iterable[float], highs: Iterable[float], places: int) -> Cells:
    """Return cells ``483.3 [470.1, 490.0]`` with intervals of equal width, or the number alone without an interval."""
    rows = list(zip(values, lows, highs, strict=True))
    texts = [[typeset(part, places) for part in row] for row in rows]
    given = [not (isnan(low) or isnan(high)) for _, low, high in rows]
    widths = [max((len(text[end]) for text, has in zip(texts, given, strict=True) if has), default=0) for end in (1, 2)]
    padding = PAD * (sum(widths) + 4) if any(given) else ""
    return [
        f"{value} [{low.rjust(widths[0], PAD)}, {high.rjust(widths[1], PAD)}]" if has else value + padding
        for (value, low, high), has in zip(texts, given, strict=True)
    ]


def _by_environment(frame: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    return iter(frame.groupby("environment", sort=False, observed=True)) if len(frame) else iter(())


def _summary(environment: str, rows: pd.DataFrame) -> TextTable:
    digits = summary_decimals(rows)
    columns = {
        "configuration": _texts(rows["configuration_name"]),
        "n": _texts(rows["n"]),
        "IQM": _estimates(rows, "iqm", digits),
        "mean": _estimates(rows, "mean", digits),
        "min": [typeset(value, digits) for value in rows["min"]],
        "max": [typeset(value, digits) for value in rows["max"]],
        "failed": _texts(rows["failed"]),
        "collapsed": _texts(rows["collapsed"]),
        **_speed(rows),
    }
    notes = _method_notes(rows, {"IQM": "iqm", "mean": "mean"})
    caveats = rows.loc[rows["caveat"].fillna("") != "", ["configuration_name", "caveat"]]
    notes += [f"{name}: {caveat}" for name, caveat in caveats.itertuples(index=False, name=None)]
    return TextTable(f"Final return on {environment}", _filled(columns), ("configuration",), notes)


def _further(environment: str, rows: pd.DataFrame) -> TextTable:
    columns = {
        "configuration": _texts(rows["configuration_name"]),
        "median": _estimates(rows, "median"),
        "optimality gap": _estimates(rows, "optimality_gap"),
        "area under the curve": _estimates(rows, "area"),
        TOLERANCE: _tolerances(rows),
        "share failed or collapsed": _estimates(rows, "failed_share", 2),
    }
    kept = _filled(columns)
    notes = _method_notes(rows, {"median": "median", "optimality gap": "optimality_gap"})
    notes += [note for heading, note in FURTHER_NOTES.items() if any(name.startswith(heading) for name in kept)]
    return TextTable(f"Further estimates on {environment}", kept, ("configuration",), notes)


def _differences(environment: str, rows: pd.DataFrame) -> TextTable:
    sizes = zip(rows["n"], rows["n_reference"], rows["paired"], strict=True)
    columns = {
        "configuration": _texts(rows["configuration_name"]),
        "minus": _texts(rows["reference"]),
        "n": [f"{n} pairs" if paired else f"{n}, {other}" for n, other, paired in sizes],
        "difference": _estimates(rows, "difference", ends=("low", "high")),
        "p": [probability(value) for value in rows["p"]],
        "p (Holm)": [probability(value) for value in rows["p_holm"]],
        "p (permutation)": [probability(value) for value in rows["p_permutation"]],
        "effect size": [typeset(value, 2) for value in rows["effect_size"]],
        "P(higher)": _estimates(rows, "improvement", 2),
    }
    notes = [f"Difference of the {_join(rows['estimate'])}s; p: {_join(rows['test']) or 'no test'}."]
    notes += [f"p (Holm): corrected for {rows['family'].max()} tests."] if (rows["family"] > 1).any() else []
    notes += [IMPROVEMENT_NOTE] if rows["improvement"].notna().any() else []
    return TextTable(f"Differences on {environment}", _filled(columns), NAMES, notes)


def _method_notes(rows: pd.DataFrame, kinds: dict[str, str]) -> list[str]:
    methods = {kind: _join(rows[f"{name}_method"]) for kind, name in kinds.items()}
    return [f"Interval of the {kind}: {method}." for kind, method in methods.items() if method]


def _speed(rows: pd.DataFrame) -> dict[str, Cells]:
    """Return the columns on the threshold; none if no configuration has one."""
    limits = rows["threshold"].dropna().unique()
    if not limits.size:
        return {}
    steps = []
    for median, low, high, last in zip(*_floats(rows, *SPEED, "last_steps"), strict=True):
        if isnan(median):
            steps.append(ABSENT if isnan(last) else f">{short_number(last)}")
        elif isnan(low) and isnan(high):
            steps.append(short_number(median))
        else:
            ends = ", ".join(ABSENT if isnan(end) else short_number(end) for end in (low, high))
            steps.append(f"{short_number(median)} [{ends}]")
    heading = f"steps to {limits[0]:g}" if limits.size == 1 else "steps to threshold"
    counts = zip(_texts(rows["reached"]), _texts(rows["followed"]), strict=True)
    return {heading: steps, "reached": [few if few == ABSENT else f"{few}/{many}" for few, many in counts]}


def _tolerances(rows: pd.DataFrame) -> Cells:
    """Return cells ``[12.0, 500.0] at 83 %`` with the confidence of each tolerance interval."""
    lows, highs, confidences = _floats(rows, "tolerance_low", "tolerance_high", "tolerance_confidence")
    digits = decimal_places(chain(lows, highs))
    return [
        ABSENT if isnan(low) else f"[{typeset(low, digits)}, {typeset(high, digits)}] at {100 * confidence:.0f} %"
        for low, high, confidence in zip(lows, highs, confidences, strict=True)
    ]


def _filled(columns: dict[str, Cells]) -> dict[str, Cells]:
    """Return the columns with any value; headings of columns with intervals say so."""
    kept = {heading: cells for heading, cells in columns.items() if any(cell.strip() != ABSENT for cell in cells)}
    return {
        f"{heading} {INTERVAL}"
        if heading not in (*NAMES, TOLERANCE) and any(cell.strip().endswith("]") for cell in cells)
        else heading: cells
        for heading, cells in kept.items()
    }


def _estimates(rows: pd.DataFrame, name: str, places: int | None = None, ends: tuple[str, str] | None = None) -> Cells:
    """Return the cells of a column with its intervals, by default from the columns name_low and name_high."""
    values, lows, highs = _floats(rows, name, *(ends or (f"{name}_low", f"{name}_high")))
    return with_intervals(values, lows, highs, decimal_places(chain(values, lows, highs)) if places is None else places)


def _floats(rows: pd.DataFrame, *columns: str) -> list["pd.Series[float]"]:
    return [rows[column].astype(float) for column in columns]


def _texts(column: "pd.Series[Any]") -> Cells:
    return [ABSENT if pd.isna(value) else str(value) for value in column]


def _join(methods: "pd.Series[str]") -> str:
    """Return the distinct methods; "" if there are none."""
    return "; ".join(dict.fromkeys(str(method) for method in methods.dropna() if method))


def _float(table: TextTable, name: str) -> str:
    headings = [escape_latex(heading) for heading in table.columns]
    cells = pd.DataFrame([[escape_latex(cell) for cell in row] for row in table.rows], columns=headings)
    text = cells.style.hide(axis="index").to_latex(
        column_format="".join("l" if heading in table.names else "r" for heading in table.columns),
        hrules=True,
        position="t",
        position_float="centering",
        caption=escape_latex(" ".join([f"{table.title}.", *table.notes])),
        label=f"tab:{name}-{re.sub(r'[^a-z0-9]+', '-', table.title.rpartition(' on ')[2].lower()).strip('-')}",
    )
    return str(text).replace("\\centering\n", f"\\centering\n{SMALL}\n", 1)
