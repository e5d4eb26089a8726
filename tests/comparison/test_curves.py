"""Learning curves on one environment and across environments."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.curves import CURVE_COLUMNS, curve_frame, early_end_notes, sample_efficiency
from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN
from tests.comparison.figures.figure_frames import runs

Curve = Sequence[tuple[int, float]]


def single(curves: Mapping[str, Sequence[Curve]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and metrics of configurations by name, a curve a seed."""
    runs, metrics = [], []
    for name, seeds in curves.items():
        for seed, curve in enumerate(seeds):
            run = {"run_id": f"{name}-{seed}", "configuration": name, "configuration_name": name, "seed": seed}
            start = {"environment": "CartPole-v1", "status": "FINISHED", "start": pd.Timestamp(0), "threshold": 475.0}
            runs.append(run | start | {FINAL_RETURN: 1.0})
            metrics += [(run["run_id"], EVALUATION_RETURN, steps, value) for steps, value in curve]
            metrics.append((run["run_id"], "loss/policy", 1, -7.0))
    return pd.DataFrame(runs), pd.DataFrame(metrics, columns=["run_id", "metric", "steps", "value"])


def test_curve_is_the_iqm_with_its_interval() -> None:
    seeds = [[(100, value), (200, 10 * value)] for value in (1.0, 2.0, 3.0, 8.0)]
    frame = curve_frame(*single({"a": seeds}))
    assert list(frame.columns) == list(CURVE_COLUMNS)
    assert frame["steps"].tolist() == [100, 200]
    assert frame["iqm"].tolist() == [2.5, 25], "the mean of 2 and 3, the middle half"
    assert frame["n"].tolist() == [4, 4]
    assert frame["threshold"].tolist() == [475, 475]
    # By hand: 2 and 3 are kept; Winsorised they are 2, 2, 3, 3 with a sum of squared deviations of 1. With
    # h = 2 kept, SE = sqrt(1 / (2 x 1)), and t of one degree of freedom is tan(.95 pi / 2) = 12.7062.
    reach = math.tan(0.475 * math.pi) / math.sqrt(2)
    np.testing.assert_allclose(frame["low"], [2.5 - reach, 25 - 10 * reach])
    np.testing.assert_allclose(frame["high"], [2.5 + reach, 25 + 10 * reach])


def test_curve_of_one_seed_has_no_band() -> None:
    frame = curve_frame(*single({"a": [[(100, 5.0), (200, 6.0)]]}), threshold=9)
    assert frame["iqm"].tolist() == [5, 6]
    assert frame[["low", "high"]].isna().all(axis=None)
    assert frame["threshold"].tolist() == [9, 9]


def test_a_failed_run_counts_up_to_its_end() -> None:
    whole = [(100, 1.0), (200, 2.0), (300, 3.0), (400, 4.0)]
    runs, metrics = single({"a": [whole, whole, [(100, 4.0), (200, 8.0)]]})
    runs.loc[2, [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    frame = curve_frame(runs, metrics)
    assert frame["n"].tolist() == [3, 3, 2, 2]
    assert frame["iqm"].tolist() == [2, 4, 3, 4], "of three nothing is trimmed"
    assert frame["low"].tolist()[2:] == [3, 4], "two equal seeds"
    # By hand: 1, 1, 4 have the deviation sqrt 3, and t of two degrees of freedom is 4.302653.
    assert frame["high"][0] == pytest.approx(2 + 4.302653, abs=1e-6)
    (note,) = early_end_notes(runs, metrics)
    assert note.endswith("1 run (a seed 2 at 200 of 400 steps).")


def test_notes_on_runs_that_end_early() -> None:
    whole, short = [(step, 1.0) for step in (100, 200, 300, 400)], [(100, 1.0), (200, 1.0)]
    (note,) = early_end_notes(*single({"a": [whole, *[short] * 7]}))
    assert "7 runs (a seed 1 at 200 of 400 steps, " in note
    assert note.endswith("a seed 5 at 200 of 400 steps, and 2 more).")
    assert early_end_notes(*single({"a": [whole, whole]})) == []


def test_a_repeated_seed_counts_once() -> None:
    runs, metrics = single({"a": [[(100, 1.0)], [(100, 5.0)], [(100, 9.0)]]})
    runs["seed"] = 0
    runs["start"] = pd.to_datetime([3, 2, 1])
    assert curve_frame(runs, metrics)["iqm"].tolist() == [1], "the newest"
    runs.loc[0, [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    assert curve_frame(runs, metrics)["iqm"].tolist() == [5], "the newest that has a score"
    runs.loc[[1, 2], FINAL_RETURN] = math.nan
    assert curve_frame(runs, metrics)["iqm"].tolist() == [1], "the newest of those without"


def test_categorical_columns_are_accepted() -> None:
    runs, metrics = single({"a": [[(100, 1.0)]], "b": [[(100, 5.0)]]})
    frame = curve_frame(runs.astype({"configuration_name": "category"}), metrics.astype({"run_id": "category"}))
    assert frame["iqm"].tolist() == [1, 5]


def test_nonfinite_returns_are_left_out() -> None:
    frame = curve_frame(*single({"a": [[(100, 1.0), (200, math.inf), (300, 3.0)]]}))
    assert frame["iqm"].tolist() == [1, 3]


@pytest.mark.parametrize("seeds", [[[]], [[(100, 1.0)], [(110, 1.0)]]])
def test_no_curve_without_common_steps(seeds: list[Curve]) -> None:
    frame = curve_frame(*single({"a": seeds, "b": [[(100, 1.0)]]}))
    assert frame["configuration_name"].tolist() == ["b"]
    assert list(curve_frame(*single({"a": seeds})).columns) == list(CURVE_COLUMNS)
    assert curve_frame(*single({"a": seeds})).empty


Curve = Sequence[tuple[int, float]]
SCALE = pd.DataFrame({"environment": ["B-v1", "A-v1"], "low": [-100, 0], "high": [100, 10]})


def several(curves: dict[tuple[str, str], Sequence[Curve]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and metrics of configurations by environment and name, a curve a seed."""
    frames = [runs({name: [0.0] * len(seeds)}, environment) for (environment, name), seeds in curves.items()]
    metrics = [
        (f"{environment} {name} {seed}", EVALUATION_RETURN, steps, value)
        for (environment, name), seeds in curves.items()
        for seed, curve in enumerate(seeds)
        for steps, value in curve
    ]
    return pd.concat(frames, ignore_index=True), pd.DataFrame(metrics, columns=["run_id", "metric", "steps", "value"])


def test_environments_are_normalised_and_pooled() -> None:
    frame = sample_efficiency(
        *several(
            {
                ("A-v1", "env=a b=x"): [[(100, 0.0), (200, 10.0)], [(100, 1.0), (200, 9.0)]],
                ("B-v1", "env=b b=x"): [[(100, 0.0), (200, 80.0)], [(100, -100.0), (200, 100.0)]],
            }
        ),
        SCALE,
    )
    assert list(frame.columns) == list(CURVE_COLUMNS)
    assert frame[["environment", "configuration_name"]].drop_duplicates().to_numpy().tolist() == [
        ["2 environments", "b=x"]
    ]
    assert frame["steps"].tolist() == [100, 200]
    # Normalised 0, .1 and .5, 0; then 1, .9 and .9, 1: the mean of the middle two.
    np.testing.assert_allclose(frame["iqm"], [0.05, 0.95])
    assert frame["n"].tolist() == [4, 4]
    assert (frame["low"] < frame["iqm"]).all()
    assert (frame["high"] > frame["iqm"]).all()
    assert frame["threshold"].isna().all()


def test_steps_are_common_to_all_environments() -> None:
    frame = sample_efficiency(
        *several(
            {
                ("A-v1", "env=a b=x"): [[(100, 0.0), (200, 10.0)]],
                ("B-v1", "env=b b=x"): [[(150, 0.0), (200, 0.0), (300, 80.0)]],
            }
        ),
        SCALE,
    )
    assert frame["steps"].tolist() == [150, 200]
    np.testing.assert_allclose(frame["iqm"], [0.5, 0.75])  # of .5 and .5, of 1 and .5
    assert frame[["low", "high"]].isna().all(axis=None), "one seed per environment has no interval"


def test_no_curve_without_every_environment() -> None:
    line = [[(100, 1.0), (200, 2.0)]]
    curves = {("A-v1", "env=a b=x"): line, ("A-v1", "env=a b=y"): line, ("B-v1", "env=b b=y"): line}
    frame = sample_efficiency(*several(curves), SCALE)
    assert frame["configuration_name"].unique().tolist() == ["b=y"]
    apart = {("A-v1", "env=a b=x"): line, ("B-v1", "env=b b=x"): [[(300, 1.0), (400, 2.0)]]}
    assert sample_efficiency(*several(apart), SCALE).empty, "no step in common"


def test_no_curve_across_one_environment() -> None:
    frame = sample_efficiency(*several({("A-v1", "b=x"): [[(100, 1.0), (200, 2.0)]]}), SCALE)
    assert frame.empty
    assert list(frame.columns) == list(CURVE_COLUMNS)


def test_an_incomplete_scale_is_rejected() -> None:
    line = [[(100, 1.0), (200, 2.0)]]
    with pytest.raises(KeyError, match="C-v1"):
        sample_efficiency(*several({("A-v1", "env=a"): line, ("C-v1", "env=c"): line}), SCALE)


def test_a_short_run_leaves_the_curve() -> None:
    whole, short = [(step, 10.0) for step in (100, 200, 300, 400)], [(100, 0.0), (200, 0.0)]
    frame = sample_efficiency(
        *several({("A-v1", "env=a"): [whole, whole, short], ("B-v1", "env=b"): [whole] * 2}), SCALE
    )
    assert frame["n"].tolist() == [5, 5, 4, 4]
    assert not any(math.isnan(value) for value in frame["iqm"])
