"""Which figures a report holds, and what is said of each."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import pandas as pd

from pgexp.comparison.baseline_study import has_gradients, study_frame, study_notes
from pgexp.comparison.comparing import Comparison
from pgexp.comparison.factors import numbers
from pgexp.comparison.profiles import profile_frame
from pgexp.comparison.report.captions import count, span, told
from pgexp.comparison.sample_efficiency import sample_efficiency
from pgexp.comparison.sensitivity import interaction, sensitivity

LINES: Final = "Lines: interquartile mean; bands: its 95 % interval"


@dataclass(frozen=True)
class Drawing:
    """A figure that was drawn: what is said below it and, for who can't see it, in its place; and its files."""

    caption: str
    alternative: str
    paths: list[Path]

    def file(self, ending: str) -> Path:
        """Return the file whose name ends so."""
        return next(path for path in self.paths if path.name.endswith(ending))


def drawings(comparison: Comparison, factors: Sequence[str], folder: Path) -> Iterator[Drawing]:
    """Draw into a folder every figure that there is data for, in the order in which a reader wants them."""
    yield from _curves(comparison, folder)
    yield from _sample_efficiency(comparison, folder)
    yield from _intervals(comparison, folder)
    yield from _differences(comparison, folder)
    yield from _profiles(comparison, folder)
    yield from _sensitivity(comparison, folder)
    yield from _interactions(comparison, factors, folder)
    yield from _study(comparison, folder)


def undrawn(comparison: Comparison) -> list[str]:
    """Return what a figure would take that there is no data for."""
    if has_gradients(comparison.runs, comparison.metrics):
        return []
    return [
        "No figure of the gradient's variance and signal-to-noise ratio under each baseline: "
        "no run recorded them, which diagnostics=full does."
    ]


def _curves(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.curves import plot_curves

    curves = comparison.curves
    if curves.empty:
        return
    ends = curves.groupby(["environment", "configuration_name"], sort=False, observed=True).last().reset_index()
    yield Drawing(
        f"Evaluation return (undiscounted) against environment steps. {LINES} over {count(curves['n'])}.",
        f"Learning curves. Interquartile mean of the return at the end: {told(ends, 'iqm')}.",
        plot_curves(curves, folder / "learning_curves"),
    )


def _sample_efficiency(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.curves import plot_sample_efficiency

    if comparison.tasks.empty:
        return
    environments = comparison.scale["environment"]
    runs = comparison.runs[comparison.runs["environment"].isin(environments)]
    curves = sample_efficiency(runs, comparison.metrics, comparison.scale)
    if curves.empty:
        return
    ends = curves.groupby("configuration_name", sort=False, observed=True).last().reset_index()
    yield Drawing(
        f"Sample efficiency over {len(environments)} environments: evaluation return, normalised as the scores over "
        f"all environments are, against environment steps. {LINES} by the stratified bootstrap. "
        "A line stops at the steps that all environments have.",
        f"Learning curves over all environments. Interquartile mean at the end: {told(ends, 'iqm')}.",
        plot_sample_efficiency(curves, folder / "sample_efficiency"),
    )


def _intervals(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.intervals import plot_intervals

    scored = comparison.summary[comparison.summary["n"].fillna(0) > 0]
    if scored.empty:
        return
    yield Drawing(
        "Final returns: each configuration's interquartile mean and mean with 95 % intervals over "
        f"{count(scored['n'])}, and the seeds' own scores.",
        f"Interval plot of the final return. Interquartile means: {told(scored, 'iqm')}.",
        plot_intervals(comparison.summary, folder / "intervals", comparison.runs),
    )


def _differences(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.differences import plot_differences

    rows = comparison.differences
    if rows.empty:
        return
    named = rows.assign(configuration_name=rows["configuration_name"] + " less " + rows["reference"])
    yield Drawing(
        "Differences in the mean final return with 95 % intervals, not corrected for their number: "
        "an interval that holds zero (the line) tells no difference.",
        f"Forest plot of the differences in the mean final return: {told(named, 'difference')}.",
        plot_differences(rows, folder / "differences"),
    )


def _profiles(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.profiles import plot_profiles

    profiles = profile_frame(comparison.runs)
    if profiles.empty:
        return
    medians = [
        {"environment": environment, "configuration_name": name, "score": rows.loc[rows["share"] < 0.5, "score"].min()}
        for (environment, name), rows in profiles.groupby(
            ["environment", "configuration_name"], sort=False, observed=True
        )
    ]
    yield Drawing(
        "Performance profiles (Dolan and More 2002; Agarwal et al. 2021): the share of runs that score above each "
        f"return, with 95 % bands, over {count(profiles['n'])}. Higher is better.",
        f"Performance profiles. Less than half of the runs score above: {told(pd.DataFrame(medians), 'score')}.",
        plot_profiles(profiles, folder / "profiles"),
    )


def _sensitivity(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.sensitivity import plot_sensitivity

    frame = sensitivity(comparison.runs)
    is_tuned = (frame["kind"] == "best").any()
    if not is_tuned and not any(numbers(values) is not None for _, values in frame.groupby("factor")["value"]):
        return  # the intervals show it already
    over = ", over all settings of the others and at the best of them, which the same seeds chose" if is_tuned else ""
    yield Drawing(
        f"Sensitivity: the mean final return at each value of a hyper-parameter{over}, with 95 % intervals.",
        f"The mean final return against the values of {', '.join(map(str, frame['factor'].unique()))}.",
        plot_sensitivity(frame, folder / "sensitivity"),
    )


def _interactions(comparison: Comparison, factors: Sequence[str], folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.interaction import plot_interaction

    for x, y in combinations(factors, 2):
        frame = interaction(comparison.runs, x, y)
        if frame.empty:
            continue
        yield Drawing(
            f"The mean final return by {x} and {y}; hatched: not run, or without a score.",
            f"Heat map of the mean final return over {x} and {y}, from {span(frame['score'])}.",
            plot_interaction(frame, folder / re.sub(r"[^\w.-]", "_", f"interaction_{x}_{y}")),
        )


def _study(comparison: Comparison, folder: Path) -> Iterator[Drawing]:
    from pgexp.comparison.figures.baseline_study import plot_baseline_study

    if not has_gradients(comparison.runs, comparison.metrics):
        return
    frame = study_frame(comparison.runs, comparison.metrics)
    notes = " ".join(study_notes(comparison.runs, comparison.metrics))
    yield Drawing(
        f"The baselines over training: return, variance and signal-to-noise ratio of the gradient, and bias of the "
        f"values, with 95 % intervals over {count(frame['n'])}. {notes}".strip(),
        f"Lines over environment steps, a panel a quantity: {', '.join(map(str, frame['quantity'].unique()))}.",
        plot_baseline_study(frame, folder / "baseline_study"),
    )
