"""The table of a comparison: each configuration's final return over seeds, with an interval."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pgexp.comparison.counting import exclusions
from pgexp.comparison.labels import thousands
from pgexp.schema import names
from pgexp.statistics.estimates import interquartile_mean
from pgexp.statistics.intervals import FloatArray, bootstrap_interval
from pgexp.statistics.thresholds import steps_to_threshold

COLUMNS: Final = (
    *("environment", "configuration_name", "configuration", "n", "mean", "iqm", "iqm_low", "iqm_high"),
    *("min", "max", "threshold", "steps_to_threshold", "reached"),
)
FEW: Final = 10  # seeds below which the footnote warns
PIPE: Final = 120  # columns where no terminal says how many
NONE: Final = "-"


def summary(runs: pd.DataFrame, metrics: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return a row a configuration, COLUMNS, from the runs and metrics as `frames` returns them.

    n counts the seeds with a final score; mean, iqm, min and max are of those scores, iqm_low and iqm_high
    the 95 % percentile bootstrap interval of the iqm (absent for one seed). Of the n seeds, `reached` came
    to the threshold in an evaluation during training, in the median after `steps_to_threshold` environment
    steps. The threshold is the environment's own (absent where it has none), or the one given.
    """
    counted = runs[exclusions(runs) == ""]
    evaluations = metrics[metrics["metric"] == names.EVALUATION_RETURN]
    rows = []
    for name, every in runs.groupby("configuration_name", sort=False):
        seeds = counted[counted["configuration_name"] == name]
        limit = every["threshold"].iloc[0] if threshold is None else threshold
        rows.append(
            every[["environment", "configuration_name", "configuration"]].iloc[0].to_dict()
            | _scores(seeds[names.FINAL_RETURN].to_numpy())
            | _speed(evaluations[evaluations["run_id"].isin(seeds["run_id"])], limit)
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"n": "Int64", "reached": "Int64", "threshold": float, "steps_to_threshold": float})


def render(summary: pd.DataFrame) -> Group:
    """Return the summary for the terminal: a table an environment, and below it what the numbers are."""
    tables = [_table(rows) for _, rows in summary.groupby("environment", sort=False)]
    spaced = [part for table in tables for part in (table, "")]
    return Group(*spaced, *(Text(line, style="dim") for line in footnotes(summary)))


def show(summary: pd.DataFrame) -> None:
    """Print the rendered summary, as wide as the terminal, but never so narrow that numbers are cut off."""
    rendered, console = render(summary), Console()
    least = Measurement.get(console, console.options.update(max_width=1000), rendered).minimum
    Console(width=max(console.width if console.is_terminal else PIPE, least)).print(rendered)


def footnotes(summary: pd.DataFrame) -> list[str]:
    """Return what the numbers of the table are, and how far its intervals can be trusted."""
    lines = [
        "IQM: mean of the middle half of the seeds' final returns. [low, high]: 95 % percentile bootstrap over seeds."
    ]
    if (summary["n"] < FEW).any():
        lines.append(
            f"With n below {FEW} the interval is too narrow: on normal data it holds the true IQM 76 % of "
            "the time at n=3 and 90 % at n=5 (a mean's 76 % and 85 %)."
        )
    if summary["threshold"].notna().any():
        lines.append("steps: to the first evaluation at the threshold, median of the seeds that reached it.")
    return lines


def _scores(scores: FloatArray) -> dict[str, float]:
    if scores.size == 0:
        return {"n": 0}
    interval = bootstrap_interval(scores, interquartile_mean)
    ends = {} if interval is None else {"iqm_low": interval.low, "iqm_high": interval.high}
    return {
        "n": scores.size,
        "mean": float(scores.mean()),
        "iqm": float(interquartile_mean(scores)),
        **ends,
        "min": float(scores.min()),
        "max": float(scores.max()),
    }


def _speed(evaluations: pd.DataFrame, threshold: float) -> dict[str, float]:
    if math.isnan(threshold):
        return {}
    firsts = [steps_to_threshold(run["steps"], run["value"], threshold) for _, run in evaluations.groupby("run_id")]
    reached = [first for first in firsts if first is not None]
    median = {"steps_to_threshold": float(np.median(reached))} if reached else {}
    return {"threshold": threshold, "reached": len(reached), **median}


def _table(rows: pd.DataFrame) -> Table:
    """Return the table of one environment."""
    environment, limits = rows["environment"].iloc[0], rows["threshold"].dropna().unique()
    title = f"Final return on {environment}" if environment else "Final return"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    headings = ["configuration", "n", "IQM", "[low, high]", "mean", "min", "max"]
    if limits.size:
        headings += [f"steps\nto {limits[0]:g}" if limits.size == 1 else "steps to\nthreshold", "reached"]
    lines = list(_cells(rows, solved=limits.size > 0))
    for heading, column in zip(headings, zip(*lines, strict=True), strict=True):
        name = heading == "configuration"
        unbroken = " ".join(column).split() if name else column  # a name may go on in the next line, a number not
        least = max(map(len, (*heading.split("\n"), *unbroken)))
        table.add_column(Text(heading), justify="left" if name else "right", min_width=min(least, 24))
    for line in lines:
        table.add_row(*map(Text, line))
    return table


def _cells(rows: pd.DataFrame, solved: bool) -> Iterator[list[str]]:
    """Yield the texts of each row; all returns of the table have the same number of decimals."""
    digits = _decimals(rows[["mean", "iqm", "iqm_low", "iqm_high", "min", "max"]].to_numpy(dtype=float))
    width = max(len(_number(end, digits)) for end in (*rows["iqm_low"], *rows["iqm_high"]))
    for row in rows.to_dict("records"):
        low, high = (_number(row[end], digits).rjust(width) for end in ("iqm_low", "iqm_high"))
        interval = NONE if math.isnan(row["iqm_low"]) else f"[{low}, {high}]"
        iqm, *others = (_number(row[name], digits) for name in ("iqm", "mean", "min", "max"))
        speed = [_steps(row["steps_to_threshold"]), f"{row['reached']}/{row['n']}"] if solved else []
        yield [row["configuration_name"], str(row["n"]), iqm, interval, *others, *speed]


def _number(value: float, decimals: int) -> str:
    return NONE if math.isnan(value) else f"{value:,.{decimals}f}"


def _steps(value: float) -> str:
    return NONE if math.isnan(value) else thousands(value)


def _decimals(values: FloatArray) -> int:
    """Return how many decimals show four digits of the largest number: 1 for 483.3, 3 for 9.871."""
    largest = np.nanmax(np.abs(values), initial=0, where=np.isfinite(values))
    return int(np.clip(3 - np.floor(np.log10(largest)), 0, 6)) if largest > 0 else 0
