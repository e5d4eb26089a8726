import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.curves import COLUMNS, POINTS, curve_frame, on_common_steps
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


def test_seeds_are_interpolated_between_the_steps_that_all_have() -> None:
    first = (np.array([100.0, 200, 300]), np.array([0.0, 10, 30]))
    second = (np.array([120.0, 220, 320]), np.array([1.0, 2, 3]))
    grid, values = on_common_steps([first, second])
    # From 120, the second's first, to 300, the first's last, with three points as either has.
    np.testing.assert_allclose(grid, [120, 210, 300])
    np.testing.assert_allclose(values, [[2, 12, 30], [1, 1.9, 2.8]])


def test_equal_steps_are_kept_as_they_are() -> None:
    seeds = [(np.array([100.0, 200, 300]), np.array([1.0, 2, 4])), (np.array([100.0, 200, 300]), np.array([3.0, 2, 1]))]
    grid, values = on_common_steps(seeds)
    assert grid.tolist() == [100, 200, 300]
    assert values.tolist() == [[1, 2, 4], [3, 2, 1]]


def test_seeds_without_a_step_in_common_have_no_grid() -> None:
    seeds = [(np.array([100.0]), np.array([1.0])), (np.array([110.0]), np.array([1.0]))]
    assert on_common_steps(seeds)[0].size == 0
    assert on_common_steps([])[0].size == 0


def test_the_grid_has_a_limit() -> None:
    steps = np.arange(1.0, 10 * POINTS)
    grid, values = on_common_steps([(steps, 2 * steps)])
    assert grid.size == POINTS
    np.testing.assert_allclose(values, [2 * grid])


def test_a_curve_is_the_interquartile_mean_with_its_interval() -> None:
    seeds = [[(100, value), (200, 10 * value)] for value in (1.0, 2.0, 3.0, 8.0)]
    frame = curve_frame(*recorded({"a": seeds}))
    assert list(frame.columns) == list(COLUMNS)
    assert frame["steps"].tolist() == [100, 200]
    assert frame["iqm"].tolist() == [2.5, 25], "the mean of 2 and 3, the middle half"
    assert frame["n"].tolist() == [4, 4]
    assert frame["threshold"].tolist() == [475, 475]
    # The interval is that of four scores: of 256 resamples 13 have the middle 1, 1 (5 %) and as many have 8, 8.
    assert frame["low"].tolist() == [1, 10]
    assert frame["high"].tolist() == [8, 80]


def test_a_lone_seed_has_a_line_and_no_band() -> None:
    frame = curve_frame(*recorded({"a": [[(100, 5.0), (200, 6.0)]]}), threshold=9)
    assert frame["iqm"].tolist() == [5, 6]
    assert frame[["low", "high"]].isna().all(axis=None)
    assert frame["threshold"].tolist() == [9, 9]


def test_only_counted_runs_are_in_the_curve() -> None:
    runs, metrics = recorded({"a": [[(100, 5.0), (200, 6.0)], [(100, 50.0), (150, 60.0)]]})
    runs.loc[1, [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    frame = curve_frame(runs, metrics)
    assert frame["iqm"].tolist() == [5, 6]
    assert frame["n"].tolist() == [1, 1]


def test_a_return_that_is_not_finite_is_passed_over() -> None:
    frame = curve_frame(*recorded({"a": [[(100, 1.0), (200, math.inf), (300, 3.0)]]}))
    assert frame["iqm"].tolist() == [1, 3]


@pytest.mark.parametrize("seeds", [[[]], [[(100, 1.0)], [(110, 1.0)]]])
def test_a_configuration_without_common_steps_is_left_out(seeds: list[Curve]) -> None:
    frame = curve_frame(*recorded({"a": seeds, "b": [[(100, 1.0)]]}))
    assert frame["configuration_name"].tolist() == ["b"]
    assert list(curve_frame(*recorded({"a": seeds})).columns) == list(COLUMNS)
    assert curve_frame(*recorded({"a": seeds})).empty
