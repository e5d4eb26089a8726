"""What is said of two configurations."""

from dataclasses import replace

import pytest

from pgexp.comparison.wording import p_written, verdict
from pgexp.statistics.comparing import Difference

UNPAIRED = Difference(
    estimate="mean", difference=31.2, n_a=5, n_b=5, paired=False, level=0.95, low=12.3, high=50.1, p=0.003
)


def test_what_is_told_apart() -> None:
    assert verdict(UNPAIRED, "value", "none") == "value is better than none by 31.2 [12.3, 50.1] (p = .003)"


def test_what_is_told_apart_among_several() -> None:
    said = verdict(UNPAIRED, "value", "none", p=0.018, family=6)
    assert said == "value is better than none by 31.2 [12.3, 50.1] (p = .018, Holm over 6)"


def test_what_is_worse_is_worse_by_a_positive_number() -> None:
    worse = replace(UNPAIRED, difference=-31.2, low=-50.1, high=-12.3)
    assert verdict(worse, "value", "none") == "value is worse than none by 31.2 [12.3, 50.1] (p = .003)"


def test_without_an_interval_there_is_none() -> None:
    constant = replace(UNPAIRED, low=None, high=None, p=0.0079)
    assert verdict(constant, "value", "none") == "value is better than none by 31.2 (p = .008)"


# 17 seeds show an effect of 1 with power .8, and 10 pairs (any table). At .05 / 6 it takes 27: for normal statistics
# 2 (2.638 + .842)^2 = 24.2, and 2.638^2 / 4 = 1.7 more for t ones make 26, by an approximation from below. 30 seeds
# show .736 (G*Power), and 17 seeds .99, just below 1.
@pytest.mark.parametrize(
    ("changed", "p", "family", "said"),
    [
        ({}, 0.21, 1, "n = 5 (p = .21): 17 seeds would show a difference of one standard deviation with power .8"),
        ({"n_b": 4}, 0.21, 1, "n = 5 and 4 (p = .21): 17 seeds would show a difference of one standard deviation "
                              "with power .8"),
        ({"paired": True}, 0.21, 1, "n = 5 pairs (p = .21): 10 pairs of seeds would show a difference of one standard "
                                    "deviation of the differences with power .8"),
        ({}, 0.36, 6, "n = 5 (p = .36, Holm over 6): 27 seeds would show a difference of one standard deviation "
                      "with power .8"),
        ({"n_a": 30, "n_b": 30}, 0.4, 1, "n = 30 (p = .40): so many show a difference of .74 standard deviations "
                                         "with power .8"),
        ({"n_a": 17, "n_b": 30}, 0.4, 1, "n = 17 and 30 (p = .40): so many show a difference of .99 standard "
                                         "deviations with power .8"),
    ],
)  # fmt: skip
def test_what_is_not_distinguishable(changed: dict[str, int], p: float, family: int, said: str) -> None:
    assert verdict(replace(UNPAIRED, **changed), "value", "none", p, family) == (
        f"value is not distinguishable from none at {said}"
    )


def test_exactly_at_the_level_counts_as_told_apart() -> None:
    assert "better" in verdict(replace(UNPAIRED, p=0.05), "value", "none")
    assert "not distinguishable" in verdict(replace(UNPAIRED, p=0.0501), "value", "none")


def test_one_seed_cannot_be_compared() -> None:
    one = Difference(estimate="mean", difference=3, n_a=1, n_b=1, paired=False, level=0.95)
    assert verdict(one, "value", "none") == "value and none can't be compared at n = 1: train two seeds of each or more"


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
def test_p_values_are_written_with_two_digits_on_their_side_of_the_level(p: float, text: str) -> None:
    assert p_written(p) == text
