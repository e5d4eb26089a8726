"""Pairwise differences and their verdicts."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.pairwise import COLUMNS, difference_notes, differences, format_p, verdict
from pgexp.schema.errors import UserError
from pgexp.statistics.differences import Difference
from tests.comparison.seed_frames import seed_runs

A = (410.0, 433.0, 388.0, 475.0, 441.0)
B = (455.0, 470.0, 440.0, 490.0, 500.0)
C = (300.0, 310.0, 340.0, 320.0, 330.0)


def pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["configuration_name"], frame["reference"], strict=True))


def test_all_pairs_of_few_configurations() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}))
    assert tuple(frame.columns) == COLUMNS
    assert sorted(pairs(frame)) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert frame["p"].is_monotonic_increasing
    assert frame["family"].tolist() == [3, 3, 3]
    assert frame["environment"].unique().tolist() == ["CartPole-v1"]


def test_difference_is_paired_by_seed() -> None:
    row = differences(seed_runs({"a": A, "b": B})).iloc[0]
    by_scipy = stats.ttest_rel(B, A)
    ends = by_scipy.confidence_interval()
    assert row["difference"] == pytest.approx((45 + 37 + 52 + 15 + 59) / 5)
    assert row[["low", "high"]].tolist() == pytest.approx([ends.low, ends.high])
    assert (row["paired"], row["n"], row["n_reference"]) == (True, 5, 5)


def test_pairing_does_not_depend_on_the_row_order() -> None:
    runs = seed_runs({"a": A, "b": B})
    shuffled = runs.sample(frac=1, random_state=3)
    expected, found = differences(runs).iloc[0], differences(shuffled).iloc[0]
    assert abs(found["difference"]) == pytest.approx(expected["difference"])
    assert found["p"] == pytest.approx(expected["p"])


def test_different_seeds_are_not_paired() -> None:
    runs = pd.concat([seed_runs({"a": A}), seed_runs({"b": B}, first=5)], ignore_index=True)
    frame = differences(runs)
    ends = stats.ttest_ind(B, A, equal_var=False).confidence_interval()
    assert frame.loc[0, ["low", "high"]].tolist() == pytest.approx([ends.low, ends.high])
    assert not frame.loc[0, "paired"]
    (note,) = difference_notes(frame, runs)
    assert "without pairing" in note
    assert note.endswith(": b and a.")


def test_missing_seeds_leave_the_common_pairs() -> None:
    runs = seed_runs({"a": A, "b": (*B[:4], math.nan), "c": C})
    frame = differences(runs)
    (row,) = (row for row in frame.to_dict("records") if (row["configuration_name"], row["reference"]) == ("b", "a"))
    assert sorted(frame["n"]) == sorted(frame["n_reference"]) == [4, 4, 5]
    assert (row["n"], row["difference"]) == (4, pytest.approx((45 + 37 + 52 + 15) / 4))
    (note,) = difference_notes(frame, runs)
    assert "common seeds" in note
    assert all(pair in note for pair in ("b and a", "c and b"))


@pytest.mark.parametrize(("first", "paired"), [(2, True), (3, False)])  # three common seeds of five, and two
def test_pairing_needs_half_of_the_seeds(first: int, paired: bool) -> None:
    runs = pd.concat([seed_runs({"a": A}), seed_runs({"b": B}, first=first)], ignore_index=True)
    row = differences(runs).iloc[0]
    assert row["paired"] == paired
    assert row["n"] == (3 if paired else 5)


def test_holm_correction_by_hand() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}))
    smallest, middle, largest = sorted(frame["p"])
    by_hand = [3 * smallest, max(3 * smallest, 2 * middle), max(3 * smallest, 2 * middle, largest)]
    assert sorted(frame["p_holm"]) == pytest.approx(np.minimum(by_hand, 1).tolist())


def test_many_configurations_are_compared_with_the_best() -> None:
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


def test_comparison_with_a_reference() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}), reference="c")
    assert sorted(pairs(frame)) == [("a", "c"), ("b", "c")]
    assert frame["p_holm"].min() == pytest.approx(2 * frame["p"].min())


def test_each_environment_is_a_family() -> None:
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


def test_unknown_reference_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"configuration 'baseline=vale'\. Did you mean baseline=value"):
        differences(seed_runs({"baseline=value": A, "baseline=none": B}), reference="baseline=vale")


def test_configurations_without_scores_are_in_no_pair() -> None:
    assert differences(seed_runs({"a": A, "b": [math.nan] * 5, "c": C}))["configuration_name"].tolist() == ["c"]
    assert differences(seed_runs({"a": A})).empty
    assert differences(seed_runs({"a": A, "b": [math.nan]}), reference="b").empty


def test_single_seeds_have_no_test() -> None:
    runs = pd.concat([seed_runs({"c": A, "d": B}), seed_runs({"e": [1.0]}, first=9)], ignore_index=True)
    row = differences(runs).iloc[-1]
    assert "e" in (row["configuration_name"], row["reference"]), "untested pairs come last"
    row = differences(seed_runs({"a": [1.0], "b": [3.0]})).iloc[0]
    assert row["difference"] == 2
    assert row[["low", "high", "p", "p_holm"]].isna().all()


def test_each_pair_has_a_verdict() -> None:
    frame = differences(seed_runs({"a": A, "b": B, "c": C}))
    assert all(
        name in words and other in words for (name, other), words in zip(pairs(frame), frame["verdict"], strict=True)
    )


def test_the_chosen_reference_has_two_seeds() -> None:
    scores = {"a": A, "b": B, "c": C, "d": (350.0, 380.0, 401.0, 333.0, 402.0), "lucky": (500.0,)}
    runs = seed_runs(scores)
    frame = differences(runs)
    assert sorted(pairs(frame)) == [("a", "b"), ("c", "b"), ("d", "b"), ("lucky", "b")]
    assert frame["p"].notna().tolist() == [True, True, True, False], "untested pairs come last"
    assert (
        "b, which has the best IQM on CartPole-v1 of those with two seeds or more" in difference_notes(frame, runs)[-1]
    )
    alone = differences(seed_runs({name: own[:1] for name, own in scores.items()}))
    assert set(alone["reference"]) == {"lucky"}
    assert alone["p_holm"].isna().all()


@pytest.mark.parametrize(("reference", "family"), [(None, 3), ("a", 2), ("one", 0)])
def test_untestable_pairs_are_not_in_the_family(reference: str | None, family: int) -> None:
    runs = seed_runs({"a": A, "b": B, "c": C, "one": (500.0,)})
    frame = differences(runs, reference)
    assert frame["family"].unique().tolist() == [family]
    assert frame["p"].notna().sum() == family
    smallest = frame["p"].min()
    assert frame["p_holm"].min() == pytest.approx(family * smallest) or math.isnan(smallest)
    text = [words for words in frame["verdict"] if "Holm" in words]
    assert all(f"Holm over {family})" in words for words in text)
    assert not any("Since these scores chose it" in note for note in difference_notes(frame, runs, reference))


def test_failed_seeds_are_mentioned() -> None:
    """The remaining seeds of a are better than b by 60; with its failures a is worse."""
    runs = seed_runs({"a": (*B, *[math.nan] * 5), "b": A * 2, "c": C * 2})
    runs.loc[runs["seed"] >= 5, "status"] = "FAILED"  # those of b and c have scores
    frame = differences(runs).set_index(["configuration_name", "reference"])
    of_a = frame.loc[[("b", "a"), ("c", "a")]]
    assert of_a["verdict"].str.contains(", without failed seeds (5 of a)", regex=False).all()
    assert of_a["caveat"].str.endswith("Failed seeds are excluded: 5 of a.").all()
    assert "failed" not in frame.loc[("c", "b"), "verdict"] + frame.loc[("c", "b"), "caveat"]


UNPAIRED = Difference(difference=31.2, n_a=5, n_b=5, paired=False, level=0.95, low=12.3, high=50.1, p=0.003)


def test_verdict_of_a_significant_difference() -> None:
    assert verdict(UNPAIRED, "value", "none") == "value is better than none by 31.2 [12.3, 50.1] (p = .003)"


def test_verdict_with_holm() -> None:
    text = verdict(UNPAIRED, "value", "none", p=0.018, family=6)
    assert text == "value is better than none by 31.2 [12.3, 50.1] (p = .018, Holm over 6)"


def test_verdict_worse_has_a_positive_amount() -> None:
    worse = replace(UNPAIRED, difference=-31.2, low=-50.1, high=-12.3)
    assert verdict(worse, "value", "none") == "value is worse than none by 31.2 [12.3, 50.1] (p = .003)"


def test_verdict_without_an_interval() -> None:
    constant = replace(UNPAIRED, low=None, high=None, p=0.0079)
    assert verdict(constant, "value", "none") == "value is better than none by 31.2 (p = .008)"


# 17 seeds detect an effect of 1 with power .8, and 10 pairs (from tables). At .05 / 6 it needs 27 seeds: for normal
# statistics 2 (2.638 + .842)^2 = 24.2, and 2.638^2 / 4 = 1.7 more for t statistics give 26, an approximation from
# below. 30 seeds detect .736 (G*Power), and 17 seeds .99.
@pytest.mark.parametrize(
    ("changed", "p", "family", "text"),
    [
        ({}, 0.21, 1, "n = 5 (p = .21): 17 seeds would detect a difference of one standard deviation"),
        ({"n_b": 4}, 0.21, 1, "n = 5 and 4 (p = .21): 17 seeds would detect a difference of one standard deviation"),
        (
            *({"paired": True}, 0.21, 1),
            "n = 5 pairs (p = .21): 10 pairs of seeds would detect a difference of one standard deviation of the "
            "differences",
        ),
        ({}, 0.36, 6, "n = 5 (p = .36, Holm over 6): 27 seeds would detect a difference of one standard deviation"),
        (
            *({"n_a": 30, "n_b": 30}, 0.4, 1),
            "n = 30 (p = .40): this number detects a difference of .74 standard deviations",
        ),
        (
            *({"n_a": 17, "n_b": 30}, 0.4, 1),
            "n = 17 and 30 (p = .40): this number detects a difference of .99 standard deviations",
        ),
    ],
)
def test_verdict_not_distinguishable(changed: dict[str, int], p: float, family: int, text: str) -> None:
    assert verdict(replace(UNPAIRED, **changed), "value", "none", p, family) == (
        f"value is not distinguishable from none at {text} with power .8"
    )


def test_p_at_the_level_is_significant() -> None:
    assert "better" in verdict(replace(UNPAIRED, p=0.05), "value", "none")
    assert "not distinguishable" in verdict(replace(UNPAIRED, p=0.0501), "value", "none")


def test_verdict_of_single_seeds() -> None:
    one = Difference(difference=3, n_a=1, n_b=1, paired=False, level=0.95)
    assert (
        verdict(one, "value", "none") == "value and none cannot be compared at n = 1: train two or more seeds of each"
    )


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.6, "p = .60"),
        (0.34, "p = .34"),
        (0.0344, "p = .034"),
        (0.00344, "p = .0034"),
        (0.0502, "p = .0502"),
        (0.05, "p = .05"),
        (0.0498, "p = .05"),
        (0.00012, "p = .00012"),
        (0.00009, "p < .0001"),
        (0.9996, "p = .9996"),
        (1.0, "p = 1"),
    ],
)
def test_format_p(p: float, text: str) -> None:
    assert format_p(p) == text
