"""Terminal output of a comparison: tables of final returns with intervals, footnotes and verdicts."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pgexp.comparison.comparison import Comparison
from pgexp.comparison.pairwise import ALPHA
from pgexp.comparison.summary import summary_decimals
from pgexp.statistics.intervals import proportion_interval
from pgexp.statistics.number_format import ABSENT, format_decimal, short_number

PIPE: Final = 120  # columns of output to a pipe or file
MAX_VERDICTS: Final = 10  # per environment
MIN_BIAS: Final = 0.1  # standard errors: a smaller bias shifts an interval by less than 5 % of its half width


def show(comparison: Comparison) -> None:
    """Print the comparison as wide as the terminal, but never so narrow that numbers are cut.

    If the table is too wide, the mean's interval is left out; summary.csv has it.
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
    """Return a table per environment, the footnotes and the verdicts. Without `full` the mean has no interval."""
    parts: list[Table | Text | str] = []
    for environment, rows in comparison.summary.groupby("environment", sort=False):
        parts += [_table(_title("Final return", environment), list(_columns(rows, full))), ""]
    if not comparison.environments.empty:
        title = f"Normalised score over {comparison.environments['environments'].iloc[0]} environments"
        parts += [_table(title, list(_columns_across_environments(comparison.environments))), ""]
    parts += [Text(line, style="dim") for line in footnotes(comparison)]
    for environment, rows in comparison.differences.groupby("environment", sort=False):
        parts += ["", Text(_title("Differences", environment), style="bold"), *_verdicts(rows)]
    return Group(*parts)


def footnotes(comparison: Comparison) -> list[str]:
    """Return the footnotes of the table: definitions, methods of the intervals, and caveats."""
    summary = comparison.summary
    notes = [*_estimate_notes(summary), *_across_environments_notes(comparison.environments), *_caveats(summary, "")]
    notes += _failure_notes(summary)
    if summary["threshold"].notna().any():
        notes.append(
            "steps: environment steps to the first evaluation at the threshold, Kaplan-Meier median over seeds; "
            ">: beyond the last evaluation."
        )
    return [*notes, *_selection_bias_notes(comparison)]


def _verdicts(differences: pd.DataFrame) -> Iterator[Text]:
    """Yield the verdicts of one environment, significant ones first, and the number of those not shown.

    The hint on what would show a difference is printed once for all pairs that share it.
    """
    shown = differences[:MAX_VERDICTS]
    for significant in (True, False):
        texts = shown.loc[(shown["p_holm"] < ALPHA) == significant, "verdict"]
        split = [(text, "") if significant or ": " not in text else text.rsplit(": ", 1) for text in texts]
        for hint in dict.fromkeys(hint for _, hint in split):
            yield from (Text(head) for head, own in split if own == hint)
            if hint:
                yield Text(f"  {hint}", style="dim")
    if len(differences) > MAX_VERDICTS:
        yield Text(f"and {len(differences) - MAX_VERDICTS} more in differences.csv")


def _title(what: str, environment: object) -> str:
    return f"{what} on {environment}" if environment else what


def _table(title: str, columns: Sequence[tuple[str, list[str]]]) -> Table:
    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
    )
    for heading, cells in columns:
        is_name = heading == "configuration"
        unbroken = " ".join(cells).split() if is_name else cells  # a name may be wrapped, a number may not
        least = max(map(len, (*heading.split("\n"), *unbroken)))
        table.add_column(Text(heading), justify="left" if is_name else "right", min_width=min(least, 24))
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _columns(rows: pd.DataFrame, full: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the headings and texts of each column; all returns of the table have the same number of decimals."""
    digits = summary_decimals(rows)
    yield "configuration", rows["configuration_name"].tolist()
    yield "n", rows["n"].astype(str).tolist()
    yield "IQM", _numbers(rows["iqm"], digits)
    yield "[low, high]", _intervals(rows, "iqm", digits)
    yield "mean", _numbers(rows["mean"], digits)
    if full:
        yield "[low, high]", _intervals(rows, "mean", digits)
    yield from ((end, _numbers(rows[end], digits)) for end in ("min", "max"))
    if (rows["failed"] + rows["collapsed"] > 0).any():
        yield "failed or\ncollapsed", [_failures(row, full) for _, row in rows.iterrows()]
    limits = rows["threshold"].dropna().unique()
    if limits.size:
        yield f"steps\nto {limits[0]:g}" if limits.size == 1 else "steps to\nthreshold", _steps(rows)
        yield "reached", [f"{reached}/{n}" for reached, n in zip(rows["reached"], rows["followed"], strict=True)]


def _columns_across_environments(rows: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    yield "configuration", rows["configuration_name"].tolist()
    yield "runs", rows["n"].astype(str).tolist()
    for heading, name in {"IQM": "iqm", "mean": "mean", "optimality gap": "optimality_gap"}.items():
        yield heading, list(map(" ".join, zip(_numbers(rows[name], 3), _intervals(rows, name, 3), strict=True)))


def _numbers(values: "pd.Series[float]", digits: int) -> list[str]:
    return [format_decimal(value, digits) for value in values]


def _intervals(rows: pd.DataFrame, name: str, digits: int) -> list[str]:
    ends = [_numbers(rows[f"{name}_{end}"], digits) for end in ("low", "high")]
    width = max(map(len, ends[0] + ends[1]))
    pairs = zip(*ends, strict=True)
    return [ABSENT if low == ABSENT else f"[{low.rjust(width)}, {high.rjust(width)}]" for low, high in pairs]


def _failures(row: "pd.Series[Any]", full: bool) -> str:
    """Return ``3/20 [3, 38] %``: the failed and collapsed of all runs that ended, and the interval of the share."""
    count = f"{row['failed'] + row['collapsed']}/{row['ended']}"
    if not full or math.isnan(row["failed_share_low"]):
        return count
    return f"{count} [{100 * row['failed_share_low']:.0f}, {100 * row['failed_share_high']:.0f}] %"


def _steps(rows: pd.DataFrame) -> list[str]:
    """Return the median steps to the threshold, or a lower bound if less than half of the seeds reached it."""
    bounds = [ABSENT if math.isnan(last) else f">{short_number(last)}" for last in rows["last_steps"]]
    medians = zip(rows["steps_to_threshold"], bounds, strict=True)
    return [bound if math.isnan(median) else short_number(median) for median, bound in medians]


def _estimate_notes(summary: pd.DataFrame) -> Iterator[str]:
    iqm, mean = (_methods(summary[f"{name}_method"][summary[f"{name}_low"].notna()]) for name in ("iqm", "mean"))
    yield "IQM: mean of the middle half of the seeds' final returns (below four seeds: of all)."
    if iqm or mean:
        yield f"[low, high]: 95 % intervals over seeds; of the IQM: {iqm or 'none'}; of the mean: {mean or 'none'}."


def _methods(used: "pd.Series[str]") -> str:
    return " or ".join(used.dropna().unique())


def _across_environments_notes(environments: pd.DataFrame) -> Iterator[str]:
    if not environments.empty:
        yield (
            "Normalised: 0 at an environment's low, 1 at its high; the optimality gap is the mean shortfall from 1. "
            f"[low, high]: 95 % intervals over seeds by the {_methods(environments['method'])}."
        )
        yield from _caveats(environments, " over environments")


def _caveats(rows: pd.DataFrame, where: str) -> Iterator[str]:
    for caveat, own in rows[rows["caveat"] != ""].groupby("caveat", sort=False):
        names = own["configuration_name"].tolist()
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"{', '.join(names[:3])}{more}{where}, {caveat}"


def _failure_notes(summary: pd.DataFrame) -> Iterator[str]:
    """Yield how many runs failed or collapsed, which an interquartile mean hides; or how many may, if none did."""
    ended = summary["ended"]
    if (summary["failed"] + summary["collapsed"] > 0).any():
        failed, collapsed = (int(summary[name].sum()) for name in ("failed", "collapsed"))
        yield (
            f"failed or collapsed: {failed} {'run' if failed == 1 else 'runs'} failed, {collapsed} collapsed; "
            "[low, high] is the exact 95 % interval of the share."
        )
    elif (ended > 0).any():
        few, many = int(ended[ended > 0].min()), int(ended.max())
        bounds = " to ".join(f"{100 * proportion_interval(0, n).high:.0f} %" for n in dict.fromkeys((many, few)))
        seeds = f"{few}" if few == many else f"{many} to {few}"
        yield f"No run failed or collapsed; with {seeds} seeds, a share of up to {bounds} is possible (exact, 95 %)."


def _selection_bias_notes(comparison: Comparison) -> Iterator[str]:
    for row in comparison.best.to_dict("records"):
        digits = summary_decimals(comparison.summary[comparison.summary["environment"] == row["environment"]])
        if pd.isna(row["bias"]):
            bias = "too high, by an amount that single seeds cannot show"
        elif row["bias"] > MIN_BIAS * row["standard_error"]:
            bias = f"too high by about {format_decimal(row['bias'], digits)}"
        else:
            continue
        yield (
            f"The mean of {row['configuration_name']}, the best of {row['configurations']} on the seeds that chose it, "
            f"is {bias}; fresh seeds avoid this bias: pgexp-compare --select"
        )
