"""What stands below the table: what its numbers are, by which method, and how far they can be trusted."""

from collections.abc import Iterator
from typing import Final

import pandas as pd

from pgexp.comparison.comparing import Comparison
from pgexp.comparison.summary import places
from pgexp.statistics.digits import number
from pgexp.statistics.proportions import proportion_interval

WORTH_TELLING: Final = 0.1  # standard errors: a smaller bias moves an interval by less than a twentieth of its half


def footnotes(comparison: Comparison) -> list[str]:
    """Return what the numbers of the table are, a line each, with the methods of its intervals and their caveats."""
    return [
        line for part in (_estimates, _over_environments, _caveats, _lost, _steps, _chosen) for line in part(comparison)
    ]


def _estimates(comparison: Comparison) -> Iterator[str]:
    summary = comparison.summary
    iqm, mean = (_methods(summary[f"{name}_method"][summary[f"{name}_low"].notna()]) for name in ("iqm", "mean"))
    yield "IQM: mean of the middle half of the seeds' final returns (below four seeds: of all)."
    if iqm or mean:
        yield f"[low, high]: 95 % intervals over seeds; the IQM's: {iqm or 'none'}; the mean's: {mean or 'none'}."


def _methods(used: "pd.Series[str]") -> str:
    return " or ".join(used.dropna().unique())


def _over_environments(comparison: Comparison) -> Iterator[str]:
    if not comparison.tasks.empty:
        yield (
            "Normalised: 0 at an environment's low, 1 at its high; the optimality gap is how far scores stay below "
            f"1 in the mean. [low, high]: 95 % intervals over seeds by the {_methods(comparison.tasks['method'])}."
        )
    said = comparison.tasks[comparison.tasks["caveat"] != ""]
    for caveat, rows in said.groupby("caveat", sort=False):
        yield f"{_listed(rows)} over environments, {caveat}"


def _caveats(comparison: Comparison) -> Iterator[str]:
    said = comparison.summary[comparison.summary["caveat"] != ""]
    for caveat, rows in said.groupby("caveat", sort=False):
        yield f"{_listed(rows)}, {caveat}"


def _lost(comparison: Comparison) -> Iterator[str]:
    """Yield how many runs failed or collapsed, which an interquartile mean hides; or how many may, if none did."""
    summary = comparison.summary
    lost, tried = (summary["failed"] + summary["collapsed"]), summary["tried"]
    if (lost > 0).any():
        failed, collapsed = (int(summary[name].sum()) for name in ("failed", "collapsed"))
        yield (
            f"failed or collapsed: {failed} {'run' if failed == 1 else 'runs'} failed, {collapsed} collapsed; "
            "[low, high] is the exact 95 % interval of the share."
        )
    elif (tried > 0).any():
        few, many = int(tried[tried > 0].min()), int(tried.max())
        ends = " to ".join(f"{100 * proportion_interval(0, n).high:.0f} %" for n in dict.fromkeys((many, few)))
        seeds = f"{few}" if few == many else f"{many} to {few}"
        yield f"No run failed or collapsed; {seeds} seeds can't rule out that up to {ends} do (exact, 95 %)."


def _steps(comparison: Comparison) -> Iterator[str]:
    if comparison.summary["threshold"].notna().any():
        yield (
            "steps: to the first evaluation at the threshold, Kaplan-Meier median over seeds; "
            "> where it lies beyond the last evaluation."
        )


def _chosen(comparison: Comparison) -> Iterator[str]:
    for row in comparison.best.to_dict("records"):
        digits = places(comparison.summary[comparison.summary["environment"] == row["environment"]])
        if pd.isna(row["bias"]):
            yield (
                f"Reported as the best of {row['configurations']} on the seeds that chose it, "
                f"{row['configuration_name']} is overstated in the mean, by how much single seeds can't tell; "
                "on fresh seeds it is not: pgexp-compare --select"
            )
        elif row["bias"] > WORTH_TELLING * row["standard_error"]:
            yield (
                f"Reported as the best of {row['configurations']} on the seeds that chose it, "
                f"{row['configuration_name']} is overstated by about {number(row['bias'], digits)} in the mean; "
                "on fresh seeds it is not: pgexp-compare --select"
            )


def _listed(rows: pd.DataFrame) -> str:
    names = rows["configuration_name"].tolist()
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
