"""Baseline study: the effect of each baseline on the gradient estimate and the return over training."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.curves import counted_once, finite_series, join_frames
from pgexp.schema import names
from pgexp.statistics.intervals import t_interval
from pgexp.statistics.learning_curves import Evaluations, on_common_steps
from pgexp.statistics.point_estimates import FloatArray

COLUMNS: Final = ("environment", "configuration_name", "quantity", "steps", "n", "value", "low", "high")
METRICS: Final[Mapping[str, str]] = {
    "return": names.EVALUATION_RETURN,
    "variance": names.GRADIENT_VARIANCE,
    "variance_left": names.VARIANCE_LEFT,
    "signal_to_noise": names.GRADIENT_SNR,
    "bias": names.VALUE_BIAS,
}
"""The metric of each quantity."""
GEOMETRIC: Final = ("variance", "variance_left")
GRADIENT: Final = ("variance", "variance_left", "signal_to_noise")
REMEDIES: Final[Mapping[tuple[str, ...], str]] = {
    ("return",): "evaluation.every evaluates runs during training",
    GRADIENT: "diagnostics=full records them for batches of two or more episodes",
    ("bias",): "their baselines predict no values, or diagnostics is off",
}
"""The reason why quantities are absent, or the key that records them."""
MAX_POINTS: Final = 100  # of a curve: there are many updates, and each is noisy


def study_frame(runs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return each quantity over training, a row per point, COLUMNS, from the frames of `frames`.

    ============================  =================================================================================
    return                        mean undiscounted return of an evaluation
    variance                      of the gradient estimate: the trace of its covariance, over a batch's episodes
    variance_left                 the variance divided by that of the same batch without a baseline
    signal_to_noise               ``|g|^2 / variance - 1``, an estimate of the signal; negative values are chance
    bias                          of the baseline's values: their mean minus that of the observed returns
    ============================  =================================================================================

    A run's updates are averaged within at most MAX_POINTS intervals of equal length in steps, which smooths the noise
    of single updates. The runs are then interpolated on common steps (`on_common_steps`). value is the mean over n
    runs, low and high its 95 % t interval (absent for one run); points with at most half of the runs are left out.
    Variances, which differ by orders of magnitude, are averaged and have their intervals on the log scale: value is a
    geometric mean, and variances of 0 are left out. Values that are not finite are left out.

    The variance is that of the policies that a baseline led to, and grows with their returns. Compare baselines by
    variance_left, which is for the same batch.

    All quantities but the return need ``diagnostics=full`` (the bias "light"). A baseline that predicts nothing has no
    bias. Absent quantities have no rows; `study_notes` lists them.
    """
    curves = []
    for quantity, metric in METRICS.items():
        series, is_geometric = finite_series(runs, metrics, metric), quantity in GEOMETRIC
        for name, own in counted_once(runs).groupby("configuration_name", sort=False, observed=True):
            each = [_smoothed(*series[run], is_geometric) for run in own["run_id"] if run in series]
            each = [(steps, values) for steps, values in each if steps.size]  # none is left if all variances are 0
            heading = {"environment": own["environment"].iloc[0], "configuration_name": name, "quantity": quantity}
            curves.append(_curve(*on_common_steps(each), is_geometric).assign(**heading))
    return join_frames(curves, COLUMNS)


def has_gradients(runs: pd.DataFrame, metrics: pd.DataFrame) -> bool:
    """Return whether a run has recorded a quantity of its gradient estimate."""
    return any(finite_series(counted_once(runs), metrics, METRICS[quantity]) for quantity in GRADIENT)


def study_notes(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return notes on the averaging, on absent quantities with the key that records them, and on biased estimates."""
    frame, every = study_frame(runs, metrics), list(dict.fromkeys(counted_once(runs)["configuration_name"]))
    notes = [f"Updates are averaged within at most {MAX_POINTS} intervals of a run's steps, variances geometrically."]
    for group, why in REMEDIES.items():
        for lacking, quantities in _absent(frame, every, group).items():
            notes.append(f"No {', '.join(quantities)} of {', '.join(lacking)}: {why}.")
    rows = metrics[metrics["metric"].isin([METRICS[quantity] for quantity in GEOMETRIC])]
    if zeros := int((rows["value"] <= 0).sum()):
        notes.append(f"{zeros} of {len(rows)} variances are 0 and left out of the geometric means.")
    choices = runs[runs["biased"] != ""].groupby("biased", sort=False, observed=True)["configuration_name"].unique()
    for choice, called in choices.items():
        notes.append(f"The gradient estimate is biased in {', '.join(map(str, called))}, by {choice}.")
    return notes


def _absent(frame: pd.DataFrame, every: Sequence[str], group: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """Return the absent quantities of a group, by the configurations that lack them."""
    absent: dict[tuple[str, ...], list[str]] = {}
    for quantity in group:
        present = set(frame.loc[frame["quantity"] == quantity, "configuration_name"])
        if lacking := tuple(str(name) for name in every if name not in present):
            absent.setdefault(lacking, []).append(quantity)
    return absent


def _smoothed(steps: FloatArray, values: FloatArray, is_geometric: bool) -> Evaluations:
    """Return the averages of a run's values, or of their logarithms, within intervals of steps, at whole steps."""
    if is_geometric:
        steps, values = steps[values > 0], np.log(values[values > 0])
    if steps.size <= MAX_POINTS:
        return steps, values
    place = np.minimum((steps - steps[0]) * MAX_POINTS / (steps[-1] - steps[0]), MAX_POINTS - 1).astype(int)
    counts = np.bincount(place)
    filled = counts > 0
    averages = [np.bincount(place, weights=each)[filled] / counts[filled] for each in (steps, values)]
    return averages[0].round(), averages[1]


def _curve(grid: FloatArray, values: FloatArray, is_geometric: bool) -> pd.DataFrame:
    """Return the points of a curve from the runs' values ``[runs, G]``, NaN outside of a run's range."""
    shared = (~np.isnan(values)).sum(axis=0) > len(values) / 2
    grid, samples = grid[shared], [point[~np.isnan(point)] for point in values.T[shared]]
    bands = [(sample.mean(), *(t_interval(sample) or (np.nan, np.nan))) for sample in samples]
    estimates = np.array(bands).reshape(-1, 3).T
    columns = dict(zip(("value", "low", "high"), np.exp(estimates) if is_geometric else estimates, strict=True))
    return pd.DataFrame({"steps": grid, "n": [sample.size for sample in samples]} | columns)
