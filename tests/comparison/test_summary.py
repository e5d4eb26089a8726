import math

import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.summary import COLUMNS, places, summary
from tests.comparison.by_hand import evaluations, seed_runs

FIVE = (500.0, 100.0, 470.0, 490.0, 480.0)


def test_there_is_a_row_a_configuration_in_the_order_of_the_runs() -> None:
    frame = summary(seed_runs({"b": [3.0], "a": [math.nan, math.nan]}), evaluations({}))
    assert tuple(frame.columns) == COLUMNS
    assert frame[list(COLUMNS[:3])].to_numpy().tolist() == [
        ["CartPole-v1", "b", "key of b"],
        ["CartPole-v1", "a", "key of a"],
    ]


def test_scores_are_summarised_over_seeds() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({})).iloc[0]
    assert (row["n"], row["min"], row["max"]) == (5, 100, 500)
    assert row["mean"] == pytest.approx(408)
    assert row["median"] == 480
    assert row["iqm"] == pytest.approx((470 + 480 + 490) / 3)


def test_the_mean_has_student_s_interval_and_the_iqm_the_trimmed_mean_s() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({})).iloc[0]
    ends = stats.ttest_1samp(FIVE, 0).confidence_interval()
    assert row[["mean_low", "mean_high"]].tolist() == pytest.approx([ends.low, ends.high])
    # Winsorised: 470, 470, 480, 490, 490, whose squares about 480 sum to 400; three scores are averaged.
    reach = stats.t.ppf(0.975, 2) * math.sqrt(400 / (3 * 2))
    assert row[["iqm_low", "iqm_high"]].tolist() == pytest.approx([480 - reach, 480 + reach])
    assert (row["mean_method"], row["iqm_method"]) == ("t", "trimmed t")


def test_skewed_scores_carry_a_caveat_and_others_none() -> None:
    frame = summary(seed_runs({"a": FIVE, "b": [1.0, 2.0, 3.0, 4.0, 5.0]}), evaluations({}))
    assert frame["caveat"].iloc[0]
    assert not frame["caveat"].iloc[1]


def test_a_lone_seed_has_no_interval_and_a_scoreless_configuration_keeps_its_row() -> None:
    frame = summary(seed_runs({"lone": [3.0], "none": [math.nan, math.nan]}), evaluations({}))
    assert frame["n"].tolist() == [1, 0]
    assert frame["iqm"].iloc[0] == 3
    assert frame[["iqm_low", "iqm_high", "mean_low", "mean_high"]].isna().all(axis=None)
    assert frame.loc[1, ["mean", "iqm", "median", "min", "max"]].isna().all()


def test_an_optimality_gap_is_the_mean_shortfall_from_the_threshold() -> None:
    frame = summary(seed_runs({"a": FIVE}, threshold=475), evaluations({}))
    assert frame["optimality_gap"].iloc[0] == pytest.approx((375 + 5) / 5)
    given = summary(seed_runs({"a": FIVE}, threshold=475), evaluations({}), threshold=485)
    assert given["optimality_gap"].iloc[0] == pytest.approx((385 + 15 + 5) / 5)
    assert summary(seed_runs({"a": FIVE}), evaluations({}))["optimality_gap"].isna().all()


def test_most_new_scores_lie_within_the_extremes_of_the_seeds_with_the_confidence_that_is_told() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({})).iloc[0]
    assert (row["tolerance_low"], row["tolerance_high"]) == (100, 500)
    # P(all or all but one of the five lie in the middle 90 %, as order statistics have it): 1 - (5 .9^4 - 4 .9^5)
    assert row["tolerance_confidence"] == pytest.approx(1 - 5 * 0.9**4 + 4 * 0.9**5)


def test_lost_runs_are_counted() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0, math.nan]})
    runs.loc[3, "status"] = "FAILED"
    row = summary(runs, evaluations({})).iloc[0]
    assert (row["n"], row["tried"], row["failed"], row["collapsed"]) == (3, 4, 1, 0)
    exact = stats.binomtest(1, 4).proportion_ci()
    assert row[["failed_share", "failed_share_low", "failed_share_high"]].tolist() == pytest.approx(
        [0.25, exact.low, exact.high]
    )


def test_a_level_tells_which_runs_collapsed() -> None:
    row = summary(seed_runs({"a": FIVE}), evaluations({}), collapsed=100).iloc[0]
    assert (row["failed"], row["collapsed"], row["tried"]) == (0, 1, 5)


def test_counts_are_whole_numbers_and_the_rest_is_real() -> None:
    frame = summary(seed_runs({"a": FIVE}, threshold=475), evaluations({"a-0": [(10, 480)]}))
    assert frame["n"].dtype == frame["reached"].dtype == pd.Int64Dtype()
    assert frame["iqm"].dtype == frame["steps_to_threshold"].dtype == float
    assert (frame["reached"].iloc[0], frame["watched"].iloc[0]) == (1, 1)


def test_the_decimals_of_a_table_are_those_of_its_estimates_not_of_wide_intervals() -> None:
    rows = {"iqm": [99.5, math.nan], "mean": [100.0, 2.0], "min": [-480.0, 2.0], "max": [102.0, 2.0]}
    assert places(pd.DataFrame(rows | {"mean_low": [-12_000.0, math.nan]})) == 1
