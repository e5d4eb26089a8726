import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.differences import COLUMNS, differences, differences_notes
from pgexp.comparison.store import ComparisonError
from tests.comparison.by_hand import seed_runs

A = (410.0, 433.0, 388.0, 475.0, 441.0)
B = (455.0, 470.0, 440.0, 490.0, 500.0)
C = (300.0, 310.0, 340.0, 320.0, 330.0)


def pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["configuration_name"], frame["reference"], strict=True))


def test_every_two_of_a_few_configurations_are_compared() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}))
    assert tuple(frame.columns) == COLUMNS
    assert sorted(pairs(frame)) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert frame["p"].is_monotonic_increasing
    assert frame["family"].tolist() == [3, 3, 3]
    assert frame["environment"].unique().tolist() == ["CartPole-v1"]


def test_a_difference_is_the_configuration_s_mean_less_its_reference_s_paired_by_seed() -> None:
    row = differences(seed_runs({"a": A, "b": B})).iloc[0]
    by_scipy = stats.ttest_rel(B, A)
    ends = by_scipy.confidence_interval()
    assert row["difference"] == pytest.approx((45 + 37 + 52 + 15 + 59) / 5)
    assert row[["low", "high"]].tolist() == pytest.approx([ends.low, ends.high])
    assert (row["paired"], row["n"], row["n_reference"]) == (True, 5, 5)


def test_pairs_go_by_the_seed_not_by_the_row() -> None:
    runs = seed_runs({"a": A, "b": B})
    shuffled = runs.sample(frac=1, random_state=3)
    expected, found = differences(runs).iloc[0], differences(shuffled).iloc[0]
    assert abs(found["difference"]) == pytest.approx(expected["difference"])
    assert found["p"] == pytest.approx(expected["p"])


def test_other_seeds_are_not_paired() -> None:
    runs = pd.concat([seed_runs({"a": A}), seed_runs({"b": B}, first=5)], ignore_index=True)
    frame = differences(runs)
    ends = stats.ttest_ind(B, A, equal_var=False).confidence_interval()
    assert frame.loc[0, ["low", "high"]].tolist() == pytest.approx([ends.low, ends.high])
    assert not frame.loc[0, "paired"]
    assert differences_notes(frame, runs) == ["Compared without pairing, for want of common seeds: b and a."]


def test_where_a_seed_is_missing_the_pairs_that_are_there_are_compared_and_it_is_said() -> None:
    runs = seed_runs({"a": A, "b": (*B[:4], math.nan), "c": C})
    frame = differences(runs)
    (row,) = (row for row in frame.to_dict("records") if (row["configuration_name"], row["reference"]) == ("b", "a"))
    assert sorted(frame["n"]) == sorted(frame["n_reference"]) == [4, 4, 5]
    assert (row["n"], row["difference"]) == (4, pytest.approx((45 + 37 + 52 + 15) / 4))
    (note,) = differences_notes(frame, runs)
    assert note in [
        f"Compared over the seeds that both have: {both}." for both in ("b and a, c and b", "c and b, b and a")
    ]


@pytest.mark.parametrize(("first", "paired"), [(2, True), (3, False)])  # three common seeds of five, and two
def test_seeds_are_paired_where_at_least_half_of_them_are_common(first: int, paired: bool) -> None:
    runs = pd.concat([seed_runs({"a": A}), seed_runs({"b": B}, first=first)], ignore_index=True)
    row = differences(runs).iloc[0]
    assert row["paired"] == paired
    assert row["n"] == (3 if paired else 5)


def test_holm_counts_every_pair_of_an_environment() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}))
    smallest, middle, largest = sorted(frame["p"])
    by_hand = [3 * smallest, max(3 * smallest, 2 * middle), max(3 * smallest, 2 * middle, largest)]
    assert sorted(frame["p_holm"]) == pytest.approx(np.minimum(by_hand, 1).tolist())


def test_of_many_each_is_compared_with_the_best_and_all_pairs_that_it_could_have_been_count() -> None:
    """The best of five by their interquartile means is one of ten pairs' better one: the choice costs."""
    scores = {
        "a": A,
        "b": B,
        "c": C,
        "d": (401.0, 499.0, 380.0, 390.0, 445.0),
        "e": (350.0, 380.0, 401.0, 333.0, 402.0),
    }
    frame = differences(seed_runs(scores))
    assert sorted(pairs(frame)) == [("a", "b"), ("c", "b"), ("d", "b"), ("e", "b")]
    assert frame["family"].tolist() == [10] * 4
    assert frame["p_holm"].min() == pytest.approx(10 * frame["p"].min())


def test_a_reference_that_is_given_is_compared_with_the_others_alone() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}), reference="c")
    assert sorted(pairs(frame)) == [("a", "c"), ("b", "c")]
    assert frame["p_holm"].min() == pytest.approx(2 * frame["p"].min())


def test_each_environment_is_a_family_of_its_own_and_a_reference_is_found_in_each() -> None:
    runs = pd.concat(
        [
            seed_runs({"env=cartpole lr=1": A, "env=cartpole lr=2": B}),
            seed_runs({"env=acrobot lr=1": C, "env=acrobot lr=2": A}, environment="Acrobot-v1"),
        ],
        ignore_index=True,
    )
    frame = differences(runs, reference="lr=2")
    assert pairs(frame) == [("env=cartpole lr=1", "env=cartpole lr=2"), ("env=acrobot lr=1", "env=acrobot lr=2")]
    assert frame["p_holm"].tolist() == frame["p"].tolist()
    assert pairs(differences(runs, reference="env=acrobot lr=2")) == [("env=acrobot lr=1", "env=acrobot lr=2")]


def test_an_unknown_reference_is_refused_with_the_nearest() -> None:
    with pytest.raises(ComparisonError, match="no configuration 'baseline=vale': the nearest here are baseline=value"):
        differences(seed_runs({"baseline=value": A, "baseline=none": B}), reference="baseline=vale")


def test_a_configuration_without_scores_is_in_no_pair() -> None:
    assert differences(seed_runs({"a": A, "b": [math.nan] * 5, "c": C}))["configuration_name"].tolist() == ["c"]
    assert differences(seed_runs({"a": A})).empty
    assert differences(seed_runs({"a": A, "b": [math.nan]}), reference="b").empty


def test_single_seeds_differ_without_a_test() -> None:
    runs = pd.concat([seed_runs({"c": A, "d": B}), seed_runs({"e": [1.0]}, first=9)], ignore_index=True)
    row = differences(runs).iloc[-1]
    assert "e" in (row["configuration_name"], row["reference"]), "what is not tested comes last"
    row = differences(seed_runs({"a": [1.0], "b": [3.0]})).iloc[0]
    assert row["difference"] == 2
    assert row[["low", "high", "p", "p_holm"]].isna().all()


def test_each_pair_is_put_into_words() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}))
    assert all(
        name in words and other in words for (name, other), words in zip(pairs(frame), frame["words"], strict=True)
    )


def test_a_configuration_with_a_single_seed_is_not_chosen_for_a_reference() -> None:
    scores = {"a": A, "b": B, "c": C, "d": (350.0, 380.0, 401.0, 333.0, 402.0), "lucky": (500.0,)}
    runs = seed_runs(scores)
    frame = differences(runs)
    assert sorted(pairs(frame)) == [("a", "b"), ("c", "b"), ("d", "b"), ("lucky", "b")]
    assert frame["p"].notna().tolist() == [True, True, True, False], "what was not tested stands last"
    assert (
        "b, which has the best IQM on CartPole-v1 of those with two seeds or more;"
        in differences_notes(frame, runs)[-1]
    )
    alone = differences(seed_runs({name: own[:1] for name, own in scores.items()}))
    assert set(alone["reference"]) == {"lucky"}
    assert alone["p_holm"].isna().all()


@pytest.mark.parametrize(("reference", "family"), [(None, 3), ("a", 2), ("one", 0)])
def test_what_cannot_be_tested_does_not_count_in_the_family(reference: str | None, family: int) -> None:
    runs = seed_runs({"a": A, "b": B, "c": C, "one": (500.0,)})
    frame = differences(runs, reference)
    assert frame["family"].unique().tolist() == [family]
    assert frame["p"].notna().sum() == family
    smallest = frame["p"].min()
    assert frame["p_holm"].min() == pytest.approx(family * smallest) or math.isnan(smallest)
    said = [words for words in frame["words"] if "Holm" in words]
    assert all(f"Holm over {family})" in words for words in said)
    assert not any("since these scores chose it" in note for note in differences_notes(frame, runs, reference))


def test_seeds_that_failed_are_told_with_the_difference_that_they_have_no_part_in() -> None:
    """By its survivors a is better than b by 60; with its failures it is the worse choice."""
    runs = seed_runs({"a": (*B, *[math.nan] * 5), "b": A * 2, "c": C * 2})
    runs.loc[runs["seed"] >= 5, "status"] = "FAILED"  # of b and c they have scores all the same
    frame = differences(runs).set_index(["configuration_name", "reference"])
    of_a = frame.loc[[("b", "a"), ("c", "a")]]
    assert of_a["words"].str.endswith(", without seeds that failed: 5 of a").all()
    assert of_a["caveat"].str.endswith("Seeds that failed have no part in it: 5 of a.").all()
    assert "failed" not in frame.loc[("c", "b"), "words"] + frame.loc[("c", "b"), "caveat"]
