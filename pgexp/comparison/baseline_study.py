"""The baseline study: what each baseline does to the gradient's estimate over training, beside the return."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.curves import followed
from pgexp.schema import names
from pgexp.statistics.curves import on_common_steps
from pgexp.statistics.intervals import FloatArray, t_interval

COLUMNS: Final = ("environment", "configuration_name", "quantity", "steps", "n", "value", "low", "high")
METRICS: Final[Mapping[str, str]] = {
    "return": names.EVALUATION_RETURN,
    "variance": names.GRADIENT_VARIANCE,
    "variance_left": names.VARIANCE_LEFT,
    "signal_to_noise": names.GRADIENT_SNR,
    "bias": names.VALUE_BIAS,
}
"""The quantities, and the metrics that they are of."""
GEOMETRIC: Final = ("variance", "variance_left")
GRADIENT: Final = ("variance", "variance_left", "signal_to_noise")
REMEDIES: Final[Mapping[tuple[str, ...], str]] = {
    ("return",): "evaluation.every lets a run be evaluated while it trains",
    GRADIENT: "they are recorded with diagnostics=full, of batches of two episodes or more",
    ("bias",): "their baselines predict no values, or diagnostics is off",
}
"""Why a quantity may be absent, and what records it."""
POINTS: Final = 100  # of a curve: updates are many, and each of them is noisy

Series = tuple[FloatArray, FloatArray]
"""The steps of a run's values, rising, and the values."""


def study_frame(runs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return each quantity over training, a row a point, COLUMNS, from the frames of `frames`.

    ============================  =================================================================================
    return                        mean undiscounted return of an evaluation
    variance                      of the gradient's estimate: the trace of its covariance, over a batch's episodes
    variance_left                 the variance over that of the same batch without a baseline
    signal_to_noise               ``|g|^2 / variance - 1``: what of the estimate is signal; below 0 by chance
    bias                          of the baseline's values: their mean less that of the returns that came of them
    ============================  =================================================================================

    Of a run the updates are averaged within at most POINTS stretches of equal length in steps, which smooths what one
    update says; the runs are then brought on common steps (`curves.on_common_steps`). value is the mean over the n
    runs that are there, low and high its 95 % t interval (absent for one run); points that half of the runs or fewer
    come to are left out. Variances, which differ by orders of magnitude, are averaged and have their intervals on the
    log scale: value is a geometric mean. There, updates without any variance are passed over, and everywhere values
    that are not finite.

    The variance is that of the policies a baseline led to, and grows with their returns: baselines are compared by
    what they leave of it on the same batch, variance_left.

    All but the return take ``diagnostics=full`` (the bias "light"); a baseline that predicts nothing has no bias of
    its values. Absent quantities have no rows: `study_notes` names them.
    """
    curves = [pd.DataFrame(columns=list(COLUMNS))]
    for quantity, metric in METRICS.items():
        series, is_geometric = _series(runs, metrics, metric), quantity in GEOMETRIC
        for name, own in followed(runs).groupby("configuration_name", sort=False, observed=True):
            each = [_smoothed(*series[run], is_geometric) for run in own["run_id"] if run in series]
            each = [(steps, values) for steps, values in each if steps.size]  # no logarithm, where all variances are 0
            heading = {"environment": own["environment"].iloc[0], "configuration_name": name, "quantity": quantity}
            curves.append(_curve(*on_common_steps(each), is_geometric).assign(**heading))
    filled = [curve for curve in curves if not curve.empty]
    return pd.concat(filled or curves[:1], ignore_index=True)[list(COLUMNS)]


def has_gradients(runs: pd.DataFrame, metrics: pd.DataFrame) -> bool:
    """Return whether any of the runs that are followed has recorded a quantity of its gradient's estimate."""
    return any(_series(followed(runs), metrics, METRICS[quantity]) for quantity in GRADIENT)


def study_notes(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return how the study's points were made, what is absent with the key that records it, and what is biased."""
    frame, every = study_frame(runs, metrics), list(dict.fromkeys(followed(runs)["configuration_name"]))
    notes = [f"Updates are averaged within at most {POINTS} stretches of a run's steps, variances as geometric means."]
    for group, why in REMEDIES.items():
        for lacking, quantities in _absent(frame, every, group).items():
            notes.append(f"No {', '.join(quantities)} of {', '.join(lacking)}: {why}.")
    rows = metrics[metrics["metric"].isin([METRICS[quantity] for quantity in GEOMETRIC])]
    if flat := int((rows["value"] <= 0).sum()):
        notes.append(f"{flat} of {len(rows)} variances are 0, and left out of the geometric means.")
    choices = runs[runs["biased"] != ""].groupby("biased", sort=False, observed=True)["configuration_name"].unique()
    for choice, called in choices.items():
        notes.append(f"The gradient's estimate itself is biased in {', '.join(map(str, called))}, by {choice}.")
    return notes


def _absent(frame: pd.DataFrame, every: Sequence[str], group: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """Return which quantities of a group are absent, by the configurations that lack them."""
    absent: dict[tuple[str, ...], list[str]] = {}
    for quantity in group:
        shown = set(frame.loc[frame["quantity"] == quantity, "configuration_name"])
        if lacking := tuple(str(name) for name in every if name not in shown):
            absent.setdefault(lacking, []).append(quantity)
    return absent


def _series(runs: pd.DataFrame, metrics: pd.DataFrame, metric: str) -> Mapping[str, Series]:
    """Return the finite values of a metric of each run that has some, by its id."""
    rows = metrics[(metrics["metric"] == metric).to_numpy(bool) & np.isfinite(metrics["value"])]
    rows = rows[rows["run_id"].isin(runs["run_id"])].sort_values("steps", kind="stable")
    return {
        str(run): (own["steps"].to_numpy(float), own["value"].to_numpy(float))
        for run, own in rows.groupby("run_id", sort=False, observed=True)
    }


def _smoothed(steps: FloatArray, values: FloatArray, is_geometric: bool) -> Series:
    """Return the averages of a run's values, or of their logarithms, within stretches of steps, at whole steps."""
    if is_geometric:
        steps, values = steps[values > 0], np.log(values[values > 0])
    if steps.size <= POINTS:
        return steps, values
    place = np.minimum((steps - steps[0]) * POINTS / (steps[-1] - steps[0]), POINTS - 1).astype(int)
    counts = np.bincount(place)
    there = counts > 0
    averages = [np.bincount(place, weights=each)[there] / counts[there] for each in (steps, values)]
    return averages[0].round(), averages[1]


def _curve(grid: FloatArray, values: FloatArray, is_geometric: bool) -> pd.DataFrame:
    """Return the points of a curve from the runs' values ``[runs, G]``, NaN where a run is not there."""
    shared = (~np.isnan(values)).sum(axis=0) > len(values) / 2
    grid, samples = grid[shared], [point[~np.isnan(point)] for point in values.T[shared]]
    bands = [(sample.mean(), *(t_interval(sample) or (np.nan, np.nan))) for sample in samples]
    value, low, high = np.array(bands).reshape(-1, 3).T
    n = [sample.size for sample in samples]
    found = {"value": value, "low": low, "high": high}
    return pd.DataFrame(
        {"steps": grid, "n": n} | {name: np.exp(each) if is_geometric else each for name, each in found.items()}
    )
