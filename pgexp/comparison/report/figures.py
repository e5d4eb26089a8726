"""Figures of a report with captions and alternative texts."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.baseline_study import has_gradients, study_frame, study_notes
from pgexp.comparison.comparison import Comparison
from pgexp.comparison.curves import sample_efficiency
from pgexp.comparison.design import numeric
from pgexp.comparison.report.tables import typeset_in_text
from pgexp.comparison.sensitivity import interaction, sensitivity
from pgexp.comparison.summary import performance_profiles

LINES: Final = "Lines: interquartile mean; bands: its 95 % interval"
MAX_VALUES: Final = 8  # in an alternative text


@dataclass(frozen=True)
class ReportFigure:
    """A figure's caption, its alternative text for readers who cannot see it, and its files."""

    caption: str
    alternative: str
    paths: list[Path]

    def file(self, ending: str) -> Path:
        """Return the file whose name has this ending."""
        return next(path for path in self.paths if path.name.endswith(ending))


def draw_figures(comparison: Comparison, factors: Sequence[str], folder: Path) -> Iterator[ReportFigure]:
    """Draw every figure that has data into a folder, in the order of the report."""
    yield from _curves(comparison, folder)
    yield from _sample_efficiency(comparison, folder)
    yield from _intervals(comparison, folder)
    yield from _differences(comparison, folder)
    yield from _profiles(comparison, folder)
    yield from _sensitivity(comparison, folder)
    yield from _interactions(comparison, factors, folder)
    yield from _study(comparison, folder)


def missing_figures(comparison: Comparison) -> list[str]:
    """Return notes on figures without data and what records it."""
    if has_gradients(comparison.runs, comparison.metrics):
        return []
    return [
        "No figure of the gradient's variance and signal-to-noise ratio with each baseline, "
        "since no run recorded them; diagnostics=full does."
    ]


def count_text(n: "pd.Series[int]") -> str:
    """Return ``5 seeds``, ``3 to 5 seeds`` or ``one seed``."""
    few, many = int(n.min()), int(n.max())
    return f"{few} to {many} seeds" if few < many else f"{many} seeds" if many > 1 else "one seed"


def list_values(rows: pd.DataFrame, column: str) -> str:
    """Return ``a 12.3; b 45.6``, with the environment's name if there are several."""
    several = rows["environment"].nunique() > 1
    known = rows[rows[column].notna()]
    named = known["environment"].astype(str) + ", " if several else pd.Series("", index=known.index)
    named += known["configuration_name"].astype(str)
    texts = [f"{name} {typeset_in_text(value)}" for name, value in zip(named, known[column], strict=True)]
    return "; ".join(
        [*texts[:MAX_VALUES], *([f"and {len(texts) - MAX_VALUES} more"] if len(texts) > MAX_VALUES else [])]
    )


def range_text(values: Iterable[float]) -> str:
    """Return ``12.3 to 45.6``: the least and the greatest of the known values."""
    known = np.asarray(list(values), dtype=float)
    return f"{typeset_in_text(float(np.nanmin(known)))} to {typeset_in_text(float(np.nanmax(known)))}"


def _curves(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.curves import plot_curves

    curves = comparison.curves
    if curves.empty:
        return
    ends = curves.groupby(["environment", "configuration_name"], sort=False, observed=True).last().reset_index()
    yield ReportFigure(
        f"Evaluation return (undiscounted) against environment steps. {LINES} over {count_text(curves['n'])}.",
        f"Learning curves. Interquartile mean of the return at the end: {list_values(ends, 'iqm')}.",
        plot_curves(curves, folder / "learning_curves"),
    )


def _sample_efficiency(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.curves import plot_sample_efficiency

    if comparison.environments.empty:
        return
    environments = comparison.scale["environment"]
    runs = comparison.runs[comparison.runs["environment"].isin(environments)]
    curves = sample_efficiency(runs, comparison.metrics, comparison.scale)
    if curves.empty:
        return
    ends = curves.groupby("configuration_name", sort=False, observed=True).last().reset_index()
    yield ReportFigure(
        f"Sample efficiency over {len(environments)} environments: evaluation return, normalised like the scores over "
        f"all environments, against environment steps. {LINES} by the stratified bootstrap. "
        "A line stops at the steps that all environments have.",
        f"Learning curves over all environments. Interquartile mean at the end: {list_values(ends, 'iqm')}.",
        plot_sample_efficiency(curves, folder / "sample_efficiency"),
    )


def _intervals(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.intervals import plot_intervals

    scored = comparison.summary[comparison.summary["n"].fillna(0) > 0]
    if scored.empty:
        return
    yield ReportFigure(
        "Final returns: each configuration's interquartile mean and mean with 95 % intervals over "
        f"{count_text(scored['n'])}, and the seeds' own scores.",
        f"Interval plot of the final return. Interquartile means: {list_values(scored, 'iqm')}.",
        plot_intervals(comparison.summary, folder / "intervals", comparison.runs),
    )


def _differences(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.differences import plot_differences

    rows = comparison.differences
    if rows.empty:
        return
    named = rows.assign(configuration_name=rows["configuration_name"] + " minus " + rows["reference"])
    yield ReportFigure(
        "Differences of the mean final returns with 95 % intervals, not corrected for their number: "
        "an interval that contains zero (the line) shows no significant difference.",
        f"Forest plot of the differences of the mean final returns: {list_values(named, 'difference')}.",
        plot_differences(rows, folder / "differences"),
    )


def _profiles(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.profiles import plot_profiles

    profiles = performance_profiles(comparison.runs)
    if profiles.empty:
        return
    medians = [
        {"environment": environment, "configuration_name": name, "score": rows.loc[rows["share"] < 0.5, "score"].min()}
        for (environment, name), rows in profiles.groupby(
            ["environment", "configuration_name"], sort=False, observed=True
        )
    ]
    yield ReportFigure(
        "Performance profiles (Dolan and More 2002; Agarwal et al. 2021): the share of runs that score above each "
        f"return, with 95 % bands, over {count_text(profiles['n'])}. Higher is better.",
        f"Performance profiles. Less than half of the runs score above: {list_values(pd.DataFrame(medians), 'score')}.",
        plot_profiles(profiles, folder / "profiles"),
    )


def _sensitivity(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.sensitivity import plot_sensitivity

    frame = sensitivity(comparison.runs)
    is_tuned = (frame["kind"] == "best").any()
    if not is_tuned and not any(numeric(values) is not None for _, values in frame.groupby("factor")["value"]):
        return  # the intervals already show it
    kinds = ", over all settings of the others and at their best, which the same seeds chose" if is_tuned else ""
    yield ReportFigure(
        f"Sensitivity: the mean final return at each value of a hyper-parameter{kinds}, with 95 % intervals.",
        f"The mean final return against the values of {', '.join(map(str, frame['factor'].unique()))}.",
        plot_sensitivity(frame, folder / "sensitivity"),
    )


def _interactions(comparison: Comparison, factors: Sequence[str], folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.sensitivity import plot_interaction

    for x, y in combinations(factors, 2):
        frame = interaction(comparison.runs, x, y)
        if frame.empty:
            continue
        yield ReportFigure(
            f"The mean final return by {x} and {y}; hatched: not run, or without a score.",
            f"Heat map of the mean final return over {x} and {y}, from {range_text(frame['score'])}.",
            plot_interaction(frame, folder / re.sub(r"[^\w.-]", "_", f"interaction_{x}_{y}")),
        )


def _study(comparison: Comparison, folder: Path) -> Iterator[ReportFigure]:
    from pgexp.comparison.figures.baseline_study import plot_baseline_study

    if not has_gradients(comparison.runs, comparison.metrics):
        return
    frame = study_frame(comparison.runs, comparison.metrics)
    notes = " ".join(study_notes(comparison.runs, comparison.metrics))
    yield ReportFigure(
        f"The baselines over training: return, variance and signal-to-noise ratio of the gradient, and bias of the "
        f"values, with 95 % intervals over {count_text(frame['n'])}. {notes}".strip(),
        f"Lines over environment steps, a panel per quantity: {', '.join(map(str, frame['quantity'].unique()))}.",
        plot_baseline_study(frame, folder / "baseline_study"),
    )
