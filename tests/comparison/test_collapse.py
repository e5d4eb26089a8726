import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pgexp.comparison.collapse import are_collapsed, collapse
from pgexp.schema import names


def runs_of(scores: Sequence[float], name: str = "lr=1", status: str = "FINISHED") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run_id": [f"{name} {seed}" for seed in range(len(scores))],
            "environment": "CartPole-v1",
            "configuration": f"key of {name}",
            "configuration_name": name,
            "seed": range(len(scores)),
            "status": [status if math.isfinite(score) else "FAILED" for score in scores],
            "start": pd.Timestamp(0, unit="s"),
            names.FINAL_RETURN: scores,
        }
    )


def starting(runs: pd.DataFrame, first: float, metric: str = names.EVALUATION_RETURN) -> pd.DataFrame:
    """Return metrics in which each run first has that return and later a higher one; the later stands first."""
    later = pd.DataFrame({"run_id": runs["run_id"], "steps": 200, "metric": metric, "value": 480.0})
    return pd.concat([later, later.assign(steps=100, value=first)], ignore_index=True)


CEILING = [500.0] * 7 + [495.0]  # an interquartile range of 0


@pytest.mark.parametrize(
    ("scores", "start", "fallen"),
    [
        # Evenly spread: none is far out.
        ([450.0, 460.0, 470.0, 480.0, 490.0], 20.0, []),
        # Q1 = 460 and Q3 = 480 (linear, n = 5): the fence is 400, half way (20 + 470) / 2 = 245.
        ([244.0, 460.0, 470.0, 480.0, 490.0], 20.0, [0]),
        ([245.0, 460.0, 470.0, 480.0, 490.0], 20.0, []),
        ([399.0, 460.0, 470.0, 480.0, 490.0], 400.0, [0]),
        ([400.0, 460.0, 470.0, 480.0, 490.0], 400.0, []),
        # At the highest return there is, what is a little lower is beyond any fence and no collapse.
        (CEILING, 20.0, []),
        ([*CEILING, 9.0], 20.0, [8]),
        # Returns below zero.
        ([-100.0, -101.0, -102.0, -103.0, -500.0], -500.0, [4]),
        # With four seeds no score is beyond the fence.
        ([1.0, 500.0, 500.0, 500.0], 20.0, []),
    ],
)
def test_a_run_collapsed_that_is_far_out_and_less_than_half_way_up(
    scores: Sequence[float], start: float, fallen: Sequence[int]
) -> None:
    runs = runs_of(scores)
    assert np.flatnonzero(are_collapsed(runs, starting(runs, start))).tolist() == fallen


def test_the_fence_is_the_configurations_own() -> None:
    good, poor = runs_of([450.0, 460.0, 470.0, 480.0, 490.0], "a"), runs_of([20.0, 21.0, 22.0, 23.0, 24.0], "b")
    runs = pd.concat([good, poor], ignore_index=True)
    assert not are_collapsed(runs, starting(runs, 10.0)).any()


def test_without_evaluations_the_first_return_of_training_is_the_start() -> None:
    runs = runs_of([300.0, 460.0, 470.0, 480.0, 490.0])
    assert are_collapsed(runs, starting(runs, 200.0, names.RETURN_MEAN)).tolist() == [True] + [False] * 4
    assert not are_collapsed(runs, starting(runs, 20.0, names.RETURN_MEAN)).any()
    assert are_collapsed(runs, starting(runs, 20.0, names.POLICY_LOSS)).tolist() == [True] + [False] * 4


def test_a_level_that_is_given_decides_alone() -> None:
    runs = runs_of([10.0, 20.0, 20.5, 480.0])
    assert are_collapsed(runs, starting(runs, 1.0), level=20.0).tolist() == [True, True, False, False]


def test_failed_and_collapsed_seeds_are_counted_with_an_exact_interval() -> None:
    one = runs_of([500.0, 500.0, 500.0, 500.0, 500.0, 500.0, 9.0, math.nan], "a")
    other = runs_of([500.0] * 8, "b")
    runs = pd.concat([one, other], ignore_index=True)
    table = collapse(runs, starting(runs, 20.0)).set_index("configuration_name")
    assert table.loc["a", ["n", "failed", "collapsed"]].tolist() == [8, 1, 1]
    assert table.loc["b", ["n", "failed", "collapsed"]].tolist() == [8, 0, 0]
    for name, fell in (("a", 2), ("b", 0)):
        exact = binomtest(fell, 8).proportion_ci(0.95, method="exact")
        expected = [fell / 8, exact.low, exact.high]
        assert table.loc[name, ["share", "share_low", "share_high"]].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_seed_that_failed_and_was_run_again_counts_once() -> None:
    runs = runs_of([500.0, math.nan, math.nan])
    again = runs_of([499.0, 500.0]).assign(run_id=["new 0", "new 1"], start=pd.Timestamp(9, unit="s"))
    failed_again = runs_of([math.nan]).assign(run_id="new 2", seed=2)
    every = pd.concat([runs, again, failed_again], ignore_index=True)
    (row,) = collapse(every, starting(every, 20.0)).to_dict("records")
    assert (row["n"], row["failed"], row["collapsed"]) == (3, 1, 0)


def test_what_was_interrupted_or_still_runs_says_nothing() -> None:
    runs = runs_of([math.nan] * 3 + [500.0]).assign(status=["KILLED", "RUNNING", "SCHEDULED", "FINISHED"])
    (row,) = collapse(runs, starting(runs, 20.0)).to_dict("records")
    assert (row["n"], row["failed"]) == (1, 0)


def test_a_return_that_is_not_finite_is_a_failure() -> None:
    runs = runs_of([math.inf, 500.0]).assign(status="FINISHED")
    (row,) = collapse(runs, starting(runs, 20.0)).to_dict("records")
    assert (row["n"], row["failed"]) == (2, 1)


def test_where_nothing_has_a_result_the_share_is_absent() -> None:
    runs = runs_of([math.nan]).assign(status="RUNNING")
    (row,) = collapse(runs, starting(runs, 20.0)).to_dict("records")
    assert row["n"] == 0
    assert math.isnan(row["share"])
    assert math.isnan(row["share_high"])
