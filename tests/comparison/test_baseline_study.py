"""Baseline study."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.baseline_study import COLUMNS, MAX_POINTS, has_gradients, study_frame, study_notes
from pgexp.schema import names
from tests.comparison.score_frames import configuration, joined

Values = Mapping[str, Sequence[tuple[float, float]]]


def recorded(runs: pd.DataFrame, *of_runs: Values) -> pd.DataFrame:
    """Return the metrics of runs from their (steps, value) pairs."""
    rows = [
        (run, name, seed, steps, metric, value)
        for (run, name, seed), metrics in zip(
            runs[["run_id", "configuration_name", "seed"]].itertuples(index=False, name=None), of_runs, strict=True
        )
        for metric, values in metrics.items()
        for steps, value in values
    ]
    frame = pd.DataFrame(rows, columns=["run_id", "configuration_name", "seed", "steps", "metric", "value"])
    return frame.astype({"steps": "int64", "value": float})


def curve(frame: pd.DataFrame, quantity: str, *columns: str) -> list[tuple[float, ...]]:
    rows = frame[frame["quantity"] == quantity]
    return list(rows[["steps", "n", *(columns or ("value",))]].itertuples(index=False, name=None))


def test_means_and_geometric_means_over_seeds() -> None:
    runs = configuration([1.0, 2.0], baseline="a")
    first = {names.GRADIENT_VARIANCE: [(10, 1.0), (20, 100.0)], names.VALUE_BIAS: [(10, 1.0), (20, -2.0)]}
    second = {names.GRADIENT_VARIANCE: [(10, 100.0), (20, 10_000.0)], names.VALUE_BIAS: [(10, 3.0), (20, 2.0)]}
    frame = study_frame(runs, recorded(runs, first, second))
    assert list(frame.columns) == list(COLUMNS)
    assert curve(frame, "variance") == [(10, 2, pytest.approx(10)), (20, 2, pytest.approx(1000))]
    assert curve(frame, "bias") == [(10, 2, 2.0), (20, 2, 0.0)]
    assert set(frame["quantity"]) == {"variance", "bias"}
    assert set(frame["environment"]) == {"CartPole-v1"}


def test_intervals_of_variances_are_on_the_log_scale() -> None:
    runs = configuration([1.0, 2.0, 3.0], baseline="a")
    values = [2.0, 8.0, 64.0]
    metrics = (names.GRADIENT_VARIANCE, names.VARIANCE_LEFT, names.GRADIENT_SNR, names.EVALUATION_RETURN)
    frame = study_frame(runs, recorded(runs, *({metric: [(5, value)] for metric in metrics} for value in values)))
    plain = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    logs = np.exp(stats.t.interval(0.95, 2, np.log(values).mean(), stats.sem(np.log(values))))
    for quantity, expected in (
        ("variance", logs),
        ("variance_left", logs),
        ("signal_to_noise", plain),
        ("return", plain),
    ):
        ((_, n, low, high),) = curve(frame, quantity, "low", "high")
        assert (n, low, high) == (3, pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_updates_are_averaged_within_intervals() -> None:
    runs = configuration([1.0], baseline="a")
    steps = np.arange(0, 10 * MAX_POINTS + 1)
    snr = [(step, float(step % 10)) for step in steps.tolist()]
    variance = [(step, float(4 ** (step % 2))) for step in steps.tolist()]
    frame = study_frame(runs, recorded(runs, {names.GRADIENT_SNR: snr, names.GRADIENT_VARIANCE: variance}))
    found = pd.DataFrame(curve(frame, "signal_to_noise"), columns=["steps", "n", "value"])
    assert len(found) == MAX_POINTS
    assert found["value"].iloc[:-2].to_numpy() == pytest.approx(
        4.5
    )  # the mean of 0 to 9; the last interval has one more
    assert [value for _, _, value in curve(frame, "variance")][:-2] == pytest.approx([2.0] * (MAX_POINTS - 2))
    assert frame["low"].isna().all(), "one run has no interval"


def test_updates_are_interpolated_on_common_steps() -> None:
    runs = configuration([1.0, 2.0], baseline="a")
    first = [(step, float(step)) for step in (10, 20, 30, 40)]
    second = [(step, float(step)) for step in (12, 22, 33, 39)]
    frame = study_frame(runs, recorded(runs, {names.GRADIENT_SNR: first}, {names.GRADIENT_SNR: second}))
    assert [(n, value) for _, n, value in curve(frame, "signal_to_noise")] == [
        (2, pytest.approx(steps)) for steps, _, _ in curve(frame, "signal_to_noise")
    ]


def test_points_with_few_runs_are_left_out() -> None:
    runs = configuration([1.0] * 4, baseline="a")
    long, short = [(step, 1.0) for step in range(10, 110, 10)], [(step, 1.0) for step in range(10, 60, 10)]
    each = [{names.GRADIENT_SNR: values} for values in (long, short, short, short)]
    steps = [point[0] for point in curve(study_frame(runs, recorded(runs, *each)), "signal_to_noise")]
    assert max(steps) == 50
    each[1] = each[2] = {names.GRADIENT_SNR: long}
    longer = curve(study_frame(runs, recorded(runs, *each)), "signal_to_noise")
    assert [n for steps, n, _ in longer if steps > 50] == [3] * 5


def test_nonfinite_values_and_zero_variances_are_left_out() -> None:
    runs = configuration([1.0], baseline="a")
    given = {
        names.GRADIENT_VARIANCE: [(1, 0.0), (2, 5.0), (3, np.nan), (4, 7.0)],
        names.GRADIENT_SNR: [(1, np.inf), (2, 1.0)],
    }
    metrics = recorded(runs, given)
    frame = study_frame(runs, metrics)
    assert curve(frame, "variance") == [(2, 1, pytest.approx(5)), (4, 1, pytest.approx(7))]
    assert curve(frame, "signal_to_noise") == [(2, 1, 1.0)]
    assert any(note.startswith("1 of 4 variances are 0") for note in study_notes(runs, metrics))


def test_notes_name_the_key_that_records_a_quantity() -> None:
    runs = joined(
        configuration([1.0], baseline="a").assign(biased="baseline BatchMean"), configuration([1.0], baseline="b")
    )
    full = {metric: [(1, 1.0)] for metric in (names.GRADIENT_VARIANCE, names.GRADIENT_SNR, names.VARIANCE_LEFT)}
    metrics = recorded(runs, full | {names.EVALUATION_RETURN: [(1, 1.0)]}, {names.VALUE_BIAS: [(1, 1.0)]})
    first, *others = study_notes(runs, metrics)
    assert "averaged within at most 100 intervals" in first
    fragments = [
        ("No return of baseline=b", "evaluation.every"),
        ("No variance, variance_left, signal_to_noise of baseline=b", "diagnostics=full"),
        ("No bias of baseline=a", "diagnostics is off"),
        ("The gradient estimate is biased in baseline=a", "baseline BatchMean"),
    ]
    for note, (begin, fragment) in zip(others, fragments, strict=True):
        assert note.startswith(begin)
        assert fragment in note


def test_study_without_metrics_is_empty() -> None:
    runs = configuration([1.0], baseline="a")
    assert study_frame(runs, recorded(runs, {})).empty
    assert len(study_notes(runs, recorded(runs, {}))) == 4


def test_notes_on_each_absent_quantity() -> None:
    runs = configuration([1.0], baseline="a")
    notes = study_notes(runs, recorded(runs, {names.GRADIENT_VARIANCE: [(1, 1.0)]}))
    assert [note.partition(":")[0] for note in notes[1:]] == [
        "No return of baseline=a",
        "No variance_left, signal_to_noise of baseline=a",
        "No bias of baseline=a",
    ]


def test_zero_variances_have_no_curve() -> None:
    runs = configuration([1.0, 2.0], baseline="a")
    flat, other = ({names.GRADIENT_VARIANCE: [(1, value), (2, value)]} for value in (0.0, 5.0))
    frame = study_frame(runs, recorded(runs, flat, other))
    assert curve(frame, "variance") == [(1, 1, pytest.approx(5)), (2, 1, pytest.approx(5))]
    assert study_frame(runs, recorded(runs, flat, flat)).empty


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (names.GRADIENT_VARIANCE, True),
        (names.VARIANCE_LEFT, True),
        (names.GRADIENT_SNR, True),
        (names.VALUE_BIAS, False),
        (names.EVALUATION_RETURN, False),
    ],
)
def test_has_gradients(metric: str, expected: bool) -> None:
    runs = configuration([1.0], baseline="a")
    assert has_gradients(runs, recorded(runs, {metric: [(10, 1.0)]})) is expected
    assert not has_gradients(runs, recorded(runs, {metric: [(10, np.nan)]}))
