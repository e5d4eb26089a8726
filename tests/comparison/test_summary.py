"""Summary, collapsed runs, learning speed and performance profiles."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import binomtest

from pgexp.comparison.summary import (
    PROFILE_COLUMNS,
    SPEED_COLUMNS,
    SUMMARY_COLUMNS,
    are_collapsed,
    collapse,
    learning_speed,
    performance_profiles,
    summary,
    summary_decimals,
)
from pgexp.schema import names
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.figures.figure_frames import runs as figure_runs
from tests.comparison.seed_frames import evaluations, seed_runs

FIVE = (500.0, 100.0, 470.0, 490.0, 480.0)


def test_one_row_per_configuration_in_order() -> None:
    frame = summary(seed_runs({"b": [3.0], "a": [math.nan, math.nan]}), evaluations({}))
    assert tuple(frame.columns) == SUMMARY_COLUMNS
    assert frame[list(SUMMARY_COLUMNS[:3])].to_numpy().tolist() == [
        ["CartPole-v1", "b", "key of b"],
        ["CartPole-v1", "a", "key of a"],
    ]


def test_estimates_over_seeds() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({})).iloc[0]
    assert (row["n"], row["min"], row["max"]) == (5, 100, 500)
    assert row["mean"] == pytest.approx(408)
    assert row["median"] == 480
    assert row["iqm"] == pytest.approx((470 + 480 + 490) / 3)


def test_intervals_of_mean_and_iqm() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({})).iloc[0]
    ends = stats.ttest_1samp(FIVE, 0).confidence_interval()
    assert row[["mean_low", "mean_high"]].tolist() == pytest.approx([ends.low, ends.high])
    # Winsorised: 470, 470, 480, 490, 490, whose squares about 480 sum to 400; three scores are averaged.
    reach = stats.t.ppf(0.975, 2) * math.sqrt(400 / (3 * 2))
    assert row[["iqm_low", "iqm_high"]].tolist() == pytest.approx([480 - reach, 480 + reach])
    assert (row["mean_method"], row["iqm_method"]) == ("t", "trimmed t")


def test_skewed_scores_have_a_caveat() -> None:
    frame = summary(seed_runs({"a": FIVE, "b": [1.0, 2.0, 3.0, 4.0, 5.0]}), evaluations({}))
    assert frame["caveat"].iloc[0]
    assert not frame["caveat"].iloc[1]


def test_configurations_with_one_score_and_with_none() -> None:
    frame = summary(seed_runs({"lone": [3.0], "none": [math.nan, math.nan]}), evaluations({}))
    assert frame["n"].tolist() == [1, 0]
    assert frame["iqm"].iloc[0] == 3
    assert frame[["iqm_low", "iqm_high", "mean_low", "mean_high"]].isna().all(axis=None)
    assert frame.loc[1, ["mean", "iqm", "median", "min", "max"]].isna().all()


def test_optimality_gap_is_for_the_threshold() -> None:
    frame = summary(seed_runs({"a": FIVE}, threshold=475), evaluations({}))
    assert frame["optimality_gap"].iloc[0] == pytest.approx((375 + 5) / 5)
    given = summary(seed_runs({"a": FIVE}, threshold=475), evaluations({}), threshold=485)
    assert given["optimality_gap"].iloc[0] == pytest.approx((385 + 15 + 5) / 5)
    assert summary(seed_runs({"a": FIVE}), evaluations({}))["optimality_gap"].isna().all()


def test_tolerance_interval_with_its_confidence() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({})).iloc[0]
    assert (row["tolerance_low"], row["tolerance_high"]) == (100, 500)
    # P(all or all but one of the five are in the middle 90 %): 1 - (5 .9^4 - 4 .9^5)
    assert row["tolerance_confidence"] == pytest.approx(1 - 5 * 0.9**4 + 4 * 0.9**5)


def test_failed_runs_are_counted() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0, math.nan]})
    runs.loc[3, "status"] = "FAILED"
    row = summary(runs, evaluations({})).iloc[0]
    assert (row["n"], row["ended"], row["failed"], row["collapsed"]) == (3, 4, 1, 0)
    exact = stats.binomtest(1, 4).proportion_ci()
    assert row[["failed_share", "failed_share_low", "failed_share_high"]].tolist() == pytest.approx(
        [0.25, exact.low, exact.high]
    )


def test_collapsed_runs_by_level() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({}), collapsed=100).iloc[0]
    assert (row["failed"], row["collapsed"], row["ended"]) == (0, 1, 5)


def test_column_types() -> None:
    frame = summary(seed_runs({"a": FIVE}, threshold=475), evaluations({"a-0": [(10, 480)]}))
    assert frame["n"].dtype == frame["reached"].dtype == pd.Int64Dtype()
    assert frame["iqm"].dtype == frame["steps_to_threshold"].dtype == float
    assert (frame["reached"].iloc[0], frame["followed"].iloc[0]) == (1, 1)


def test_decimals_ignore_wide_intervals() -> None:
    rows = {"iqm": [99.5, math.nan], "mean": [100.0, 2.0], "min": [-480.0, 2.0], "max": [102.0, 2.0]}
    assert summary_decimals(pd.DataFrame(rows | {"mean_low": [-12_000.0, math.nan]})) == 1


def scored_runs(scores: Sequence[float], name: str = "lr=1", status: str = "FINISHED") -> pd.DataFrame:
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


def first_returns(runs: pd.DataFrame, first: float, metric: str = names.EVALUATION_RETURN) -> pd.DataFrame:
    """Return metrics with this first return of each run and a higher later one, the later in the first rows."""
    later = pd.DataFrame({"run_id": runs["run_id"], "steps": 200, "metric": metric, "value": 480.0})
    return pd.concat([later, later.assign(steps=100, value=first)], ignore_index=True)


CEILING = [500.0] * 7 + [495.0]  # an interquartile range of 0


@pytest.mark.parametrize(
    ("scores", "start", "fallen"),
    [
        # Evenly spread: no outlier.
        ([450.0, 460.0, 470.0, 480.0, 490.0], 20.0, []),
        # Q1 = 460 and Q3 = 480 (linear, n = 5): the fence is 400, half way (20 + 470) / 2 = 245.
        ([244.0, 460.0, 470.0, 480.0, 490.0], 20.0, [0]),
        ([245.0, 460.0, 470.0, 480.0, 490.0], 20.0, []),
        ([399.0, 460.0, 470.0, 480.0, 490.0], 400.0, [0]),
        ([400.0, 460.0, 470.0, 480.0, 490.0], 400.0, []),
        # At the highest return, a slightly lower score is beyond any fence and no collapse.
        (CEILING, 20.0, []),
        ([*CEILING, 9.0], 20.0, [8]),
        # Returns below zero.
        ([-100.0, -101.0, -102.0, -103.0, -500.0], -500.0, [4]),
        # With four seeds no score is beyond the fence.
        ([1.0, 500.0, 500.0, 500.0], 20.0, []),
    ],
)
def test_collapsed_runs_by_fence_and_half_way(scores: Sequence[float], start: float, fallen: Sequence[int]) -> None:
    runs = scored_runs(scores)
    assert np.flatnonzero(are_collapsed(runs, first_returns(runs, start))).tolist() == fallen


def test_each_configuration_has_its_own_fence() -> None:
    good, poor = scored_runs([450.0, 460.0, 470.0, 480.0, 490.0], "a"), scored_runs([20.0, 21.0, 22.0, 23.0, 24.0], "b")
    runs = pd.concat([good, poor], ignore_index=True)
    assert not are_collapsed(runs, first_returns(runs, 10.0)).any()


def test_first_training_return_replaces_evaluations() -> None:
    runs = scored_runs([300.0, 460.0, 470.0, 480.0, 490.0])
    assert are_collapsed(runs, first_returns(runs, 200.0, names.RETURN_MEAN)).tolist() == [True] + [False] * 4
    assert not are_collapsed(runs, first_returns(runs, 20.0, names.RETURN_MEAN)).any()
    assert are_collapsed(runs, first_returns(runs, 20.0, names.POLICY_LOSS)).tolist() == [True] + [False] * 4


def test_a_level_replaces_the_fence() -> None:
    runs = scored_runs([10.0, 20.0, 20.5, 480.0])
    assert are_collapsed(runs, first_returns(runs, 1.0), level=20.0).tolist() == [True, True, False, False]


def test_collapse_counts_with_exact_intervals() -> None:
    one = scored_runs([500.0, 500.0, 500.0, 500.0, 500.0, 500.0, 9.0, math.nan], "a")
    other = scored_runs([500.0] * 8, "b")
    runs = pd.concat([one, other], ignore_index=True)
    table = collapse(runs, first_returns(runs, 20.0)).set_index("configuration_name")
    assert table.loc["a", ["n", "failed", "collapsed"]].tolist() == [8, 1, 1]
    assert table.loc["b", ["n", "failed", "collapsed"]].tolist() == [8, 0, 0]
    for name, fell in (("a", 2), ("b", 0)):
        exact = binomtest(fell, 8).proportion_ci(0.95, method="exact")
        expected = [fell / 8, exact.low, exact.high]
        assert table.loc[name, ["share", "share_low", "share_high"]].tolist() == pytest.approx(expected, abs=1e-12)


def test_collapse_counts_a_repeated_seed_once() -> None:
    runs = scored_runs([500.0, math.nan, math.nan])
    again = scored_runs([499.0, 500.0]).assign(run_id=["new 0", "new 1"], start=pd.Timestamp(9, unit="s"))
    failed_again = scored_runs([math.nan]).assign(run_id="new 2", seed=2)
    every = pd.concat([runs, again, failed_again], ignore_index=True)
    (row,) = collapse(every, first_returns(every, 20.0)).to_dict("records")
    assert (row["n"], row["failed"], row["collapsed"]) == (3, 1, 0)


def test_collapse_ignores_unfinished_runs() -> None:
    runs = scored_runs([math.nan] * 3 + [500.0]).assign(status=["KILLED", "RUNNING", "SCHEDULED", "FINISHED"])
    (row,) = collapse(runs, first_returns(runs, 20.0)).to_dict("records")
    assert (row["n"], row["failed"]) == (1, 0)


def test_collapse_counts_nonfinite_returns_as_failures() -> None:
    runs = scored_runs([math.inf, 500.0]).assign(status="FINISHED")
    (row,) = collapse(runs, first_returns(runs, 20.0)).to_dict("records")
    assert (row["n"], row["failed"]) == (2, 1)


def test_collapse_without_any_ended_seed() -> None:
    runs = scored_runs([math.nan]).assign(status="RUNNING")
    (row,) = collapse(runs, first_returns(runs, 20.0)).to_dict("records")
    assert row["n"] == 0
    assert math.isnan(row["share"])
    assert math.isnan(row["share_high"])


def test_steps_to_the_threshold_are_a_median() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0], "b": [4.0]}, threshold=475)
    curves = evaluations(
        {
            "a-0": [(10, 400), (20, 480), (30, 300)],
            "a-1": [(10, 475), (20, 100), (30, 100)],
            "a-2": [(30, 500), (20, 474), (10, 0)],  # in any order
            "b-0": [(10, 0)],
        }
    )
    frame = learning_speed(runs, curves)
    assert tuple(frame.columns) == SPEED_COLUMNS
    a, b = frame.to_dict("records")
    assert (a["threshold"], a["steps_to_threshold"], a["reached"], a["followed"]) == (475, 20, 3, 3)
    assert (b["reached"], b["followed"], b["last_steps"]) == (0, 1, 10)
    assert math.isnan(b["steps_to_threshold"])


def test_seeds_below_the_threshold_are_censored() -> None:
    """Two of four seeds reach it: half are at risk after 20 steps, so the median is 20 and not 15."""
    runs = seed_runs({"a": [1.0, 2.0, 3.0, 4.0], "b": [1.0, 2.0, 3.0]}, threshold=475)
    reaching, never = [(10, 0), (20, 500)], [(10, 0), (20, 0), (40, 0)]
    curves = {"a-0": [(10, 500)], "a-1": reaching, "a-2": never, "a-3": never}
    curves |= {"b-0": reaching, "b-1": never, "b-2": never}
    a, b = learning_speed(runs, evaluations(curves)).to_dict("records")
    assert (a["steps_to_threshold"], a["reached"], a["followed"]) == (20, 2, 4)
    assert (b["reached"], b["followed"], b["last_steps"]) == (1, 3, 40)
    assert math.isnan(b["steps_to_threshold"])


def test_a_failed_seed_never_reaches_the_threshold() -> None:
    runs = seed_runs({"a": [1.0, 2.0, math.nan]}, threshold=475)
    runs.loc[2, "status"] = "FAILED"
    curves = evaluations({"a-0": [(10, 0), (20, 500)], "a-1": [(10, 0), (20, 0), (30, 500)], "a-2": [(10, 0)]})
    row = learning_speed(runs, curves).iloc[0]
    # At risk are 3 until 20 and 2 until 30; then more than half have reached it.
    assert (row["steps_to_threshold"], row["reached"], row["followed"]) == (30, 2, 3)


@pytest.mark.parametrize("how", ["failed", "failed before the first evaluation", "not finite"])
def test_no_median_steps_if_most_seeds_fail(how: str) -> None:
    """Four of ten seeds reach it and six fail early, so the median is beyond the last step."""
    runs = seed_runs({"a": [500.0] * 4 + [math.nan] * 6}, threshold=475)
    runs["final/episode_length"] = 1.0 if how == "not finite" else math.nan
    runs.loc[4:, "status"] = "FINISHED" if how == "not finite" else "FAILED"
    short = {"failed": [(10, 0)], "not finite": [(10, 0), (40, math.nan)]}.get(how, [])
    curves = {f"a-{seed}": [(10, 0), (40, 500)] if seed < 4 else short for seed in range(10)}
    row = learning_speed(runs, evaluations(curves)).iloc[0]
    assert math.isnan(row["steps_to_threshold"])
    assert (row["reached"], row["followed"], row["last_steps"]) == (4, 10, 40)


def test_an_interrupted_seed_is_censored_at_its_end() -> None:
    runs = seed_runs({"a": [1.0, 2.0, math.nan]}, threshold=475)
    runs.loc[2, "status"] = "KILLED"
    curves = evaluations({"a-0": [(10, 0), (20, 500)], "a-1": [(10, 0), (20, 0), (30, 500)], "a-2": [(10, 0)]})
    row = learning_speed(runs, curves).iloc[0]
    # At risk are 3 until 10, where one is censored, then 2; half of these reach it at 20.
    assert (row["steps_to_threshold"], row["reached"], row["followed"]) == (20, 2, 3)


def test_threshold_argument_replaces_the_environments() -> None:
    runs = seed_runs({"a": [1.0]}, threshold=475)
    row = learning_speed(runs, evaluations({"a-0": [(10, 90), (20, 200)]}), threshold=100).iloc[0]
    assert (row["threshold"], row["steps_to_threshold"], row["reached"]) == (100, 20, 1)


def test_no_steps_without_a_threshold() -> None:
    frame = learning_speed(seed_runs({"a": [1.0, 2.0]}), evaluations({"a-0": [(10, 90)]}))
    assert frame[["threshold", "steps_to_threshold", "reached", "followed", "last_steps"]].isna().all(axis=None)


def test_no_followed_seeds_without_evaluations() -> None:
    row = learning_speed(seed_runs({"a": [1.0]}, threshold=475), evaluations({})).iloc[0]
    assert (row["reached"], row["followed"]) == (0, 0)
    assert math.isnan(row["last_steps"])


def test_area_of_the_common_range() -> None:
    runs = seed_runs({"a": [1.0, 1.0], "b": [1.0]})
    curves = evaluations(
        {
            "a-0": [(0, 0), (10, 100), (20, 100)],  # from 5 to 15: (75 * 5 + 100 * 5) / 10 = 87.5
            "a-1": [(0, 50), (20, 50)],
            "b-0": [(5, 10), (15, 30)],
        }
    )
    a, b = learning_speed(runs, curves).to_dict("records")
    assert (a["area_from"], a["area_to"]) == (5, 15)
    assert a["area"] == pytest.approx((87.5 + 50) / 2)
    assert b["area"] == pytest.approx(20)
    assert math.isnan(b["area_low"]), "one seed has no interval"


def test_area_ranges_are_per_environment() -> None:
    runs = seed_runs({"a": [1.0]})
    other = seed_runs({"b": [1.0]}, environment="Acrobot-v1")
    both = runs.merge(other, how="outer")
    curves = evaluations({"a-0": [(0, 0), (20, 100)], "b-0": [(5, 10), (15, 30)]})
    a = learning_speed(both, curves).set_index("configuration_name").loc["a"]
    assert (a["area_from"], a["area_to"], a["area"]) == (0, 20, 50)


def test_no_area_without_a_common_range() -> None:
    runs = seed_runs({"a": [1.0, 1.0]})
    curves = evaluations({"a-0": [(0, 0), (10, 100)], "a-1": [(10, 0), (20, 0)]})
    assert math.isnan(learning_speed(runs, curves)["area"].iloc[0])


def test_profile_falls_at_the_scores() -> None:
    frame = performance_profiles(figure_runs({"a": [2, 1, 2, 6], "b": [11]}))
    assert list(frame.columns) == list(PROFILE_COLUMNS)
    a, b = (frame[frame["configuration_name"] == name] for name in ("a", "b"))
    # The environment's scores are in [1, 11]: one point 2 % of the range before, one after.
    assert a["score"].tolist() == [0.8, 1, 2, 6, 11.2]
    assert a["share"].tolist() == [1, 0.75, 0.25, 0, 0]
    assert b["score"].tolist() == [0.8, 11, 11.2]
    assert b["share"].tolist() == [1, 0, 0]
    assert (a["n"].unique().tolist(), b["n"].unique().tolist()) == ([4], [1])
    # Clopper and Pearson, all of four: (alpha / 2)^(1 / 4) to 1; none of four: 0 to 1 - (alpha / 2)^(1 / 4).
    edge = 0.025**0.25
    assert a[["low", "high"]].iloc[0].tolist() == pytest.approx([edge, 1])
    assert a[["low", "high"]].iloc[-1].tolist() == pytest.approx([0, 1 - edge])


def test_profile_range_is_per_environment() -> None:
    frame = performance_profiles(
        pd.concat([figure_runs({"a": [0, 1]}, "A-v1"), figure_runs({"b": [100, 200]}, "B-v1")], ignore_index=True)
    )
    assert frame.groupby("environment")["score"].max().tolist() == [1.02, 202]


def test_profiles_ignore_runs_without_a_finite_score() -> None:
    every = figure_runs({"a": [1.0, 2.0, math.inf], "b": [3.0]})
    every.loc[[0, 3], [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    frame = performance_profiles(every)
    assert frame["configuration_name"].unique().tolist() == ["a"]
    assert frame["n"].unique().tolist() == [1]
    np.testing.assert_allclose(frame["score"], [1.96, 2, 2.04])  # 2 % of the score 2 are .04
    assert list(performance_profiles(every.iloc[:1]).columns) == list(PROFILE_COLUMNS)
