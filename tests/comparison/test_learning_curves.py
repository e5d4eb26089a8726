import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.curves import COLUMNS, curve_frame, early_ends
from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN

Curve = Sequence[tuple[int, float]]


def recorded(curves: Mapping[str, Sequence[Curve]]) -> tuple[pd.DataFrame, pd.DataFrame]:
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


def test_a_curve_is_the_interquartile_mean_with_its_interval() -> None:
    seeds = [[(100, value), (200, 10 * value)] for value in (1.0, 2.0, 3.0, 8.0)]
    frame = curve_frame(*recorded({"a": seeds}))
    assert list(frame.columns) == list(COLUMNS)
    assert frame["steps"].tolist() == [100, 200]
    assert frame["iqm"].tolist() == [2.5, 25], "the mean of 2 and 3, the middle half"
    assert frame["n"].tolist() == [4, 4]
    assert frame["threshold"].tolist() == [475, 475]
    # By hand: 2 and 3 are kept, and winsorised they are 2, 2, 3, 3 with a sum of squares of 1 about their mean. With
    # h = 2 kept, SE = sqrt(1 / (2 x 1)), and t of one degree of freedom is tan(.95 pi / 2) = 12.7062.
    reach = math.tan(0.475 * math.pi) / math.sqrt(2)
    np.testing.assert_allclose(frame["low"], [2.5 - reach, 25 - 10 * reach])
    np.testing.assert_allclose(frame["high"], [2.5 + reach, 25 + 10 * reach])


def test_a_lone_seed_has_a_line_and_no_band() -> None:
    frame = curve_frame(*recorded({"a": [[(100, 5.0), (200, 6.0)]]}), threshold=9)
    assert frame["iqm"].tolist() == [5, 6]
    assert frame[["low", "high"]].isna().all(axis=None)
    assert frame["threshold"].tolist() == [9, 9]


def test_a_failed_run_is_in_the_curve_as_far_as_it_came() -> None:
    whole = [(100, 1.0), (200, 2.0), (300, 3.0), (400, 4.0)]
    runs, metrics = recorded({"a": [whole, whole, [(100, 4.0), (200, 8.0)]]})
    runs.loc[2, [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    frame = curve_frame(runs, metrics)
    assert frame["n"].tolist() == [3, 3, 2, 2]
    assert frame["iqm"].tolist() == [2, 4, 3, 4], "of three nothing is trimmed"
    assert frame["low"].tolist()[2:] == [3, 4], "two equal seeds"
    # By hand: 1, 1, 4 have the deviation sqrt 3, and t of two degrees of freedom is 4.302653.
    assert frame["high"][0] == pytest.approx(2 + 4.302653, abs=1e-6)
    assert early_ends(runs, metrics) == [
        "Ended before the others, so in the learning curves up to there: 1 run (a seed 2 at 200 of 400 steps)."
    ]


def test_runs_that_end_early_are_listed_and_then_counted() -> None:
    whole, short = [(step, 1.0) for step in (100, 200, 300, 400)], [(100, 1.0), (200, 1.0)]
    (note,) = early_ends(*recorded({"a": [whole, *[short] * 7]}))
    assert "7 runs (a seed 1 at 200 of 400 steps, " in note
    assert note.endswith("a seed 5 at 200 of 400 steps, and 2 more).")
    assert early_ends(*recorded({"a": [whole, whole]})) == []


def test_a_seed_counts_once() -> None:
    runs, metrics = recorded({"a": [[(100, 1.0)], [(100, 5.0)], [(100, 9.0)]]})
    runs["seed"] = 0
    runs["start"] = pd.to_datetime([3, 2, 1])
    assert curve_frame(runs, metrics)["iqm"].tolist() == [1], "the newest"
    runs.loc[0, [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    assert curve_frame(runs, metrics)["iqm"].tolist() == [5], "the newest that has a score"
    runs.loc[[1, 2], FINAL_RETURN] = math.nan
    assert curve_frame(runs, metrics)["iqm"].tolist() == [1], "the newest of those without"


def test_categories_are_grouped_as_texts() -> None:
    runs, metrics = recorded({"a": [[(100, 1.0)]], "b": [[(100, 5.0)]]})
    frame = curve_frame(runs.astype({"configuration_name": "category"}), metrics.astype({"run_id": "category"}))
    assert frame["iqm"].tolist() == [1, 5]


def test_a_return_that_is_not_finite_is_passed_over() -> None:
    frame = curve_frame(*recorded({"a": [[(100, 1.0), (200, math.inf), (300, 3.0)]]}))
    assert frame["iqm"].tolist() == [1, 3]


@pytest.mark.parametrize("seeds", [[[]], [[(100, 1.0)], [(110, 1.0)]]])
def test_a_configuration_without_common_steps_is_left_out(seeds: list[Curve]) -> None:
    frame = curve_frame(*recorded({"a": seeds, "b": [[(100, 1.0)]]}))
    assert frame["configuration_name"].tolist() == ["b"]
    assert list(curve_frame(*recorded({"a": seeds})).columns) == list(COLUMNS)
    assert curve_frame(*recorded({"a": seeds})).empty
