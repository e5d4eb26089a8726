"""The tables of a report as text, cell by cell: the page, Markdown and LaTeX are written from the same cells."""

from collections.abc import Iterator
from itertools import chain
from math import isnan
from typing import Any, Final

import pandas as pd

from pgexp.comparison.labels import thousands
from pgexp.comparison.report.cells import TOLERANCE, Cells, TextTable, estimates, floats, given, listed, span, texts
from pgexp.comparison.report.numbers import ABSENT, probability, typeset
from pgexp.comparison.summary import places
from pgexp.statistics.digits import decimals

FURTHER: Final = {
    "area": "Area under the curve: the mean of the evaluation return over the steps that all curves have in common.",
    "tolerance": "Tolerance interval: holds 90 % of all seeds, with the confidence told.",
    "share": "Share failed or collapsed: exact binomial interval (Clopper-Pearson).",
}
PROBABILITY: Final = "P(higher): a run of the configuration scores above one of the other; ties count half."
SPEED: Final = ("steps_to_threshold", "steps_to_threshold_low", "steps_to_threshold_high")


def summary_tables(summary: pd.DataFrame) -> list[TextTable]:
    """Return the main table of each environment: what its configurations scored, with intervals."""
    return [_summary(str(environment), rows) for environment, rows in _by_environment(summary)]


def further_tables(summary: pd.DataFrame) -> list[TextTable]:
    """Return the other estimates of each environment: medians, areas, gaps, tolerance and failures with intervals."""
    every = [_further(str(environment), rows) for environment, rows in _by_environment(summary)]
    return [table for table in every if len(table.columns) > 1]


def difference_tables(differences: pd.DataFrame) -> list[TextTable]:
    """Return the comparisons of each environment, a row a pair."""
    return [_differences(str(environment), rows) for environment, rows in _by_environment(differences)]


def task_tables(tasks: pd.DataFrame) -> list[TextTable]:
    """Return the table over all environments, of normalised scores; none where only one was run."""
    if tasks.empty:
        return []
    kinds = {"IQM": "iqm", "mean": "mean", "median": "median", "optimality gap": "optimality_gap"}
    columns = {"configuration": texts(tasks["configuration_name"]), "runs": texts(tasks["n"])}
    columns |= {heading: estimates(tasks, name) for heading, name in kinds.items()}
    notes = [f"Intervals: {listed(tasks['method'])}."] if listed(tasks["method"]) else []
    return [TextTable("Normalised score over all environments", given(columns), ("configuration",), notes)]


def run_table(runs: pd.DataFrame, score: str) -> TextTable:
    """Return every run: what it is called, how it ended, what it scored, and whether it counts."""
    several = runs["environment"].nunique() > 1
    digits = decimals(runs[score])
    columns = {
        **({"environment": texts(runs["environment"])} if several else {}),
        "configuration": texts(runs["configuration_name"]),
        "seed": texts(runs["seed"]),
        "score": [typeset(value, digits) for value in runs[score]],
        "status": texts(runs["status"].str.lower()),
        "counts": [f"no: {why}" if why else "yes" for why in runs["left_out"]],
        "run id": texts(runs["run_id"]),
        "key": texts(runs["key"]),
    }
    return TextTable("Every run", columns, ("environment", "configuration", "status", "counts", "run id", "key"))


def _by_environment(frame: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    return iter(frame.groupby("environment", sort=False, observed=True)) if len(frame) else iter(())


def _summary(environment: str, rows: pd.DataFrame) -> TextTable:
    digits = places(rows)
    columns = {
        "configuration": texts(rows["configuration_name"]),
        "n": texts(rows["n"]),
        "IQM": estimates(rows, "iqm", digits),
        "mean": estimates(rows, "mean", digits),
        "min": [typeset(value, digits) for value in rows["min"]],
        "max": [typeset(value, digits) for value in rows["max"]],
        "failed": texts(rows["failed"]),
        "collapsed": texts(rows["collapsed"]),
        **_speed(rows),
    }
    methods = {"IQM": rows["iqm_method"], "mean": rows["mean_method"]}
    notes = [f"Interval of the {kind}: {listed(method)}." for kind, method in methods.items() if listed(method)]
    caveats = rows.loc[rows["caveat"].fillna("") != "", ["configuration_name", "caveat"]]
    notes += [f"{name}: {caveat}" for name, caveat in caveats.itertuples(index=False, name=None)]
    return TextTable(f"Final return on {environment}", given(columns), ("configuration",), notes)


def _speed(rows: pd.DataFrame) -> dict[str, Cells]:
    """Return the columns on the threshold; none where no configuration has one."""
    limits = rows["threshold"].dropna().unique()
    if not limits.size:
        return {}
    steps = []
    for *found, last in zip(*floats(rows, *SPEED), rows["last_steps"].astype(float), strict=True):
        late = ABSENT if isnan(last) else f">{thousands(last)}"
        steps.append(late if isnan(found[0]) else span(*found))
    heading = f"steps to {limits[0]:g}" if limits.size == 1 else "steps to threshold"
    counted = zip(texts(rows["reached"]), texts(rows["watched"]), strict=True)
    return {heading: steps, "reached": [few if few == ABSENT else f"{few}/{many}" for few, many in counted]}


def _further(environment: str, rows: pd.DataFrame) -> TextTable:
    columns = {
        "configuration": texts(rows["configuration_name"]),
        "median": estimates(rows, "median"),
        "optimality gap": estimates(rows, "optimality_gap"),
        "area under the curve": estimates(rows, "area"),
        TOLERANCE: _tolerances(rows),
        "share failed or collapsed": estimates(rows, "failed_share", 2),
    }
    kept = given(columns)
    methods = {"median": rows["median_method"], "optimality gap": rows["optimality_gap_method"]}
    notes = [f"Interval of the {kind}: {listed(method)}." for kind, method in methods.items() if listed(method)]
    notes += [note for heading, note in FURTHER.items() if any(name.startswith(heading) for name in kept)]
    return TextTable(f"Further estimates on {environment}", kept, ("configuration",), notes)


def _tolerances(rows: pd.DataFrame) -> Cells:
    """Return cells as ``[12.0, 500.0] at 83 %``, the confidence with which one holds its share of the seeds."""
    columns = ("tolerance_low", "tolerance_high", "tolerance_confidence")
    digits = decimals(chain(*floats(rows, *columns[:2])))
    return [
        ABSENT if isnan(low) else f"[{typeset(low, digits)}, {typeset(high, digits)}] at {100 * sure:.0f} %"
        for low, high, sure in zip(*floats(rows, *columns), strict=True)
    ]


def _differences(environment: str, rows: pd.DataFrame) -> TextTable:
    sizes = zip(rows["n"], rows["n_reference"], rows["paired"], strict=True)
    columns = {
        "configuration": texts(rows["configuration_name"]),
        "less": texts(rows["reference"]),
        "n": [f"{n} pairs" if paired else f"{n}, {other}" for n, other, paired in sizes],
        "difference": estimates(rows, "difference", ends=("low", "high")),
        "p": [probability(value) for value in rows["p"]],
        "p (Holm)": [probability(value) for value in rows["p_holm"]],
        "p (permutation)": [probability(value) for value in rows["p_permutation"]],
        "effect size": [typeset(value, 2) for value in rows["effect_size"]],
        "P(higher)": estimates(rows, "improvement", 2),
    }
    notes = [f"Difference in the {listed(rows['estimate'])}; p: {listed(rows['test']) or 'no test'}."]
    notes += [f"p (Holm): corrected for {rows['family'].max()} tests."] if (rows["family"] > 1).any() else []
    notes += [PROBABILITY] if rows["improvement"].notna().any() else []
    return TextTable(f"Differences on {environment}", given(columns), ("configuration", "less"), notes)
