import math

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.best import COLUMNS, best
from tests.comparison.by_hand import seed_runs


def test_the_best_mean_is_named_with_its_standard_error() -> None:
    frame = best(seed_runs({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0], "c": [4.0, 4.0, math.nan]}))
    assert tuple(frame.columns) == COLUMNS
    row = frame.iloc[0]
    assert row[["environment", "configurations", "configuration_name", "n", "mean"]].tolist() == [
        "CartPole-v1",
        3,
        "b",
        3,
        4,
    ]
    assert row["standard_error"] == pytest.approx(2 / math.sqrt(3))


@pytest.mark.slow
def test_the_bias_of_equal_configurations_is_the_expected_largest_of_their_means() -> None:
    """1.54 sigma / sqrt(n) of ten; the mean of 40 estimates is further off than 7 of its errors in 2e-8 of cases."""
    generator = np.random.default_rng(0)
    found = [
        best(seed_runs({f"lr={k}": generator.normal(size=16).tolist() for k in range(10)}))["bias"].iloc[0]
        for _ in range(40)
    ]
    error = np.std(found, ddof=1) / math.sqrt(40)
    assert error < 0.03
    assert np.mean(found) == pytest.approx(1.54 / math.sqrt(16), abs=7 * error)


def test_each_environment_has_its_best_and_one_configuration_is_not_chosen() -> None:
    two = seed_runs({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    one = seed_runs({"c": [1.0, 2.0]}, environment="Acrobot-v1")
    frame = best(pd.concat([two, one], ignore_index=True))
    assert frame["environment"].tolist() == ["CartPole-v1"]
    assert best(one).empty


def test_of_single_seeds_no_bias_can_be_told() -> None:
    row = best(seed_runs({"a": [1.0], "b": [3.0]})).iloc[0]
    assert row[["standard_error", "bias"]].isna().all()
    assert row["mean"] == 3


def test_equal_seeds_that_are_lucky_everywhere_make_no_bias() -> None:
    """Two configurations alike but for a constant are never told apart wrongly, in whichever order their rows are."""
    scores = [1.0, 5.0, 3.0, 2.0, 9.0]
    runs = seed_runs({"a": scores, "b": [score + 0.5 for score in scores]})
    # each half of b reports b's mean on average, to within six times 2.8 / sqrt(2,000)
    assert best(runs)["bias"].iloc[0] == pytest.approx(0, abs=0.38)
    assert best(runs.sample(frac=1, random_state=1))["bias"].iloc[0] == pytest.approx(0, abs=0.38)
    other = pd.concat([runs.iloc[:5], seed_runs({"b": [score + 0.5 for score in scores]}, first=5)], ignore_index=True)
    assert best(other)["bias"].iloc[0] > 0.38, "of other seeds, they may have been lucky in one alone"


def test_a_run_that_failed_counts_as_the_worst_score_as_in_the_choice() -> None:
    runs = seed_runs({"a": [9.0, 9.0, 9.0, math.nan], "b": [8.0, 8.0, 8.0, 8.0], "c": [1.0, 1.0, 1.0, 1.0]})
    runs.loc[runs["run_id"] == "a-3", "status"] = "FAILED"
    row = best(runs).iloc[0]
    assert (row["configuration_name"], row["mean"], row["n"]) == ("b", 8.0, 4)  # a: (3 * 9 + 1) / 4 = 7
