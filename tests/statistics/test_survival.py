"""Steps to a threshold against published survival times and counting by hand."""

import math
from collections.abc import Sequence

import pytest
from scipy.special import ndtri

from pgexp.statistics.survival import median_steps_to_threshold, steps_to_threshold


def test_first_step_at_the_threshold_counts() -> None:
    assert steps_to_threshold([10, 20, 30, 40], [100, 475, 300, 500], 475) == 20


def test_order_of_the_steps_does_not_matter() -> None:
    assert steps_to_threshold([40, 10, 30], [500, 0, 490], 475) == 30


@pytest.mark.parametrize("returns", [[-200.0, -100.1], [math.nan, math.nan]])
def test_a_threshold_that_is_never_reached_is_none(returns: list[float]) -> None:
    assert steps_to_threshold([1, 2], returns, -100) is None


def test_no_evaluation_never_reaches_a_threshold() -> None:
    assert steps_to_threshold([], [], 0) is None


def test_steps_and_returns_need_equal_lengths() -> None:
    with pytest.raises(ValueError, match="equal length"):
        steps_to_threshold([1, 2, 3], [1, 2], 0)


# Weeks of remission of leukaemia, 21 patients each, by treatment: 6-MP, where 12 are censored, and placebo (Freireich
# et al. 1963, in Kalbfleisch and Prentice 2002, table 1.1).
TREATED: list[float | None] = [6, 6, 6, 7, 10, 13, 16, 22, 23, *[None] * 12]
FOLLOWED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_published_survival_times_with_censoring() -> None:
    # R's survfit with conf.type="log-log", and SAS's LIFETEST: median 23 [13, none].
    weeks = median_steps_to_threshold(TREATED, FOLLOWED)
    assert (weeks.median, weeks.low, weeks.high, weeks.reached, weeks.n, weeks.followed) == (23, 13, None, 9, 21, 35)


def test_published_survival_times_without_censoring() -> None:
    weeks = median_steps_to_threshold(PLACEBO, PLACEBO)
    assert (weeks.median, weeks.low, weeks.high) == (8, 4, 11)


def test_median_steps_of_three_seeds_by_hand() -> None:
    # One reaches the threshold at 2, one stops at 4, the last reaches it at 6: S is 2/3 from 2 on, and 0 from 6 on.
    steps = median_steps_to_threshold([2, None, 6], [10, 4, 10])
    assert (steps.median, steps.reached, steps.n, steps.followed) == (6, 2, 3, 10)


@pytest.mark.parametrize("reached", [3, 4, 5, 6])
def test_no_median_if_fewer_than_half_reach_the_threshold(reached: int) -> None:
    first = [*range(10, 10 * reached + 1, 10), *[None] * (10 - reached)]
    assert median_steps_to_threshold(first, [200] * 10).median == (None if reached < 5 else 50)


def test_no_seed_reaches_the_threshold() -> None:
    steps = median_steps_to_threshold([None, None], [200, 150])
    assert (steps.median, steps.low, steps.high, steps.reached, steps.n, steps.followed) == (
        None,
        None,
        None,
        0,
        2,
        200,
    )


def test_a_short_seed_is_censored() -> None:
    # After 10 steps 4 of 5 are at risk, and one is censored at 15: S(20) = 4/5 x 2/3 = .53, S(30) = .27. If it never
    # reached the threshold or was left out, S(20) would be .6 or .5.
    assert median_steps_to_threshold([10, 20, 30, 40, None], [50, 50, 50, 50, 15]).median == 30


def test_a_seed_censored_at_the_step_of_another_is_at_risk() -> None:
    # All four seeds are at risk at 10, so S = 3/4 there; without the censored one it would be 1/2, and the median 10.
    assert median_steps_to_threshold([10, None, None, 20], [10, 10, 10, 20]).median == 20


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_interval_is_the_log_log_interval(level: float) -> None:
    # Ten seeds, uncensored until the eighth. Greenwood's variance of log(-log S), by its formula.
    first: list[float | None] = [1, 2, 3, 4, 5, 6, 7, 8, None, None]
    z, share, total, low, high = ndtri((1 + level) / 2), 1.0, 0.0, None, None
    for time in range(1, 9):
        at_risk = 11 - time
        share *= 1 - 1 / at_risk
        total += 1 / (at_risk * (at_risk - 1))
        spread = z * math.sqrt(total) / -math.log(share)
        low = time if low is None and share ** math.exp(spread) <= 0.5 else low
        high = time if high is None and share ** math.exp(-spread) <= 0.5 else high
    steps = median_steps_to_threshold(first, [9] * 10, level)
    assert (steps.low, steps.high) == (low, high)
    assert {low, high}.isdisjoint({None, 5})


@pytest.mark.parametrize("first", [[3], [3, 3, 3], [None]])
def test_constant_seeds_have_no_interval(first: list[float | None]) -> None:
    steps = median_steps_to_threshold(first, [9] * len(first))
    assert (steps.low, steps.high) == (None, None)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ([], [], "one or more seeds"),
        ([1, 2], [3], "a last evaluation each"),
        ([5], [4], "not after the last evaluation"),
        ([math.nan], [4], "must be finite"),
        ([None], [math.inf], "must be finite"),
        ([-1], [4], "not negative"),
    ],
)
def test_bad_steps_are_rejected(first: Sequence[float | None], last: Sequence[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        median_steps_to_threshold(first, last)


def test_bad_levels_are_rejected() -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        median_steps_to_threshold([1], [2], level=1)
