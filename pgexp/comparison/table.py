"""The table of a comparison as a terminal shows it: final returns over seeds, with intervals."""

import math
from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pgexp.comparison.comparing import Comparison
from pgexp.comparison.footnotes import footnotes
from pgexp.comparison.labels import thousands
from pgexp.comparison.summary import places
from pgexp.statistics.digits import ABSENT, number

PIPE: Final = 120  # columns where no terminal says how many
SHOWN: Final = 10  # differences of an environment that are put into words
ALPHA: Final = 0.05  # as `wording.verdict` has it of differences at the level .95


def show(comparison: Comparison) -> None:
    """Print the rendered comparison, as wide as the terminal, but never so narrow that numbers are cut off.

    Where the table would be too wide, the mean's interval, which summary.csv holds, stays out of it.
    """
    console = Console()
    width = console.width if console.is_terminal else PIPE
    for full in (True, False):
        rendered = render(comparison, full)
        least = Measurement.get(console, console.options.update(max_width=1000), rendered).minimum
        if least <= width:
            break
    Console(width=max(width, least)).print(rendered)


def render(comparison: Comparison, full: bool = True) -> Group:
    """Return the comparison for the terminal: a table an environment, what its numbers are, the differences.

    Without `full` the mean is shown without its interval.
    """
    parts: list[Table | Text | str] = []
    for _, rows in comparison.summary.groupby("environment", sort=False):
        parts += [_table(rows, full), ""]
    if not comparison.tasks.empty:
        parts += [_over_environments(comparison.tasks), ""]
    parts += [Text(line, style="dim") for line in footnotes(comparison)]
    for environment, rows in comparison.differences.groupby("environment", sort=False):
        parts += ["", Text(_title("Differences", environment), style="bold"), *_in_words(rows)]
    return Group(*parts)


def _in_words(differences: pd.DataFrame) -> Iterator[Text]:
    """Yield the differences of one environment in words, the surest first, and how many are left.

    What would show a difference that these seeds don't is said once of all pairs of which it is the same.
    """
    shown = differences[:SHOWN]
    for told in (True, False):
        rows = shown[(shown["p_holm"] < ALPHA) == told]
        split = [(text, "") if told else _apart(text) for text in rows["words"]]
        for needed in dict.fromkeys(tail for _, tail in split):
            yield from (Text(head) for head, tail in split if tail == needed)
            if needed:
                yield Text(f"  {needed}", style="dim")
    if len(differences) > SHOWN:
        yield Text(f"and {len(differences) - SHOWN} more in differences.csv")


def _apart(words: str) -> tuple[str, str]:
    """Return what is said of a pair, and after the last colon what would show more."""
    head, _, tail = words.rpartition(": ")
    return (head, tail) if head else (words, "")


def _title(what: str, environment: object) -> str:
    return f"{what} on {environment}" if environment else what


def _table(rows: pd.DataFrame, full: bool) -> Table:
    """Return the table of one environment."""
    title = Text(_title("Final return", rows["environment"].iloc[0]), style="bold")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    columns = list(_columns(rows, full))
    for heading, cells in columns:
        name = heading == "configuration"
        unbroken = " ".join(cells).split() if name else cells  # a name may go on in the next line, a number not
        least = max(map(len, (*heading.split("\n"), *unbroken)))
        table.add_column(Text(heading), justify="left" if name else "right", min_width=min(least, 24))
    for line in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(Text, line))
    return table


def _over_environments(tasks: pd.DataFrame) -> Table:
    """Return the table of the normalised scores over all environments."""
    title = Text(f"Normalised score over {tasks['environments'].iloc[0]} environments", style="bold")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    columns = {"configuration": tasks["configuration_name"].tolist(), "runs": tasks["n"].astype(str).tolist()}
    for heading, name in {"IQM": "iqm", "mean": "mean", "optimality gap": "optimality_gap"}.items():
        columns[heading] = [
            f"{value} {interval}"
            for value, interval in zip(_numbers(tasks[name], 3), _intervals(tasks, name, 3), strict=True)
        ]
    for heading in columns:
        table.add_column(Text(heading), justify="left" if heading == "configuration" else "right")
    for line in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, line))
    return table


def _columns(rows: pd.DataFrame, full: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the headings and texts of each column; all returns of the table have the same number of decimals."""
    digits = places(rows)
    yield "configuration", rows["configuration_name"].tolist()
    yield "n", rows["n"].astype(str).tolist()
    yield "IQM", _numbers(rows["iqm"], digits)
    yield "[low, high]", _intervals(rows, "iqm", digits)
    yield "mean", _numbers(rows["mean"], digits)
    if full:
        yield "[low, high]", _intervals(rows, "mean", digits)
    yield from ((end, _numbers(rows[end], digits)) for end in ("min", "max"))
    if (rows["failed"] + rows["collapsed"] > 0).any():
        yield "failed or\ncollapsed", [_lost(row, full) for _, row in rows.iterrows()]
    limits = rows["threshold"].dropna().unique()
    if limits.size:
        yield f"steps\nto {limits[0]:g}" if limits.size == 1 else "steps to\nthreshold", _steps(rows)
        pairs = zip(rows["reached"], rows["watched"], strict=True)
        yield "reached", [f"{reached}/{watched}" for reached, watched in pairs]


def _numbers(values: "pd.Series[float]", digits: int) -> list[str]:
    return [number(value, digits) for value in values]


def _intervals(rows: pd.DataFrame, name: str, digits: int) -> list[str]:
    ends = [_numbers(rows[f"{name}_{end}"], digits) for end in ("low", "high")]
    width = max(map(len, ends[0] + ends[1]))
    pairs = zip(*ends, strict=True)
    return [ABSENT if low == ABSENT else f"[{low.rjust(width)}, {high.rjust(width)}]" for low, high in pairs]


def _lost(row: "pd.Series[Any]", full: bool) -> str:
    """Return ``3/20 [3, 38] %``: how many of the runs tried were lost, and the interval of that share."""
    lost = f"{row['failed'] + row['collapsed']}/{row['tried']}"
    if not full or math.isnan(row["failed_share_low"]):
        return lost
    return f"{lost} [{100 * row['failed_share_low']:.0f}, {100 * row['failed_share_high']:.0f}] %"


def _steps(rows: pd.DataFrame) -> list[str]:
    """Return the median steps to the threshold; where fewer than half of the seeds came to it, that it is later."""
    pairs = zip(rows["steps_to_threshold"], rows["last_steps"], strict=True)
    return [_later(last) if math.isnan(median) else thousands(median) for median, last in pairs]


def _later(last: float) -> str:
    return ABSENT if math.isnan(last) else f">{thousands(last)}"
