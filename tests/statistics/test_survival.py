"""Steps to a threshold over seeds, held to published survival times and to counting by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import ndtri

from pgexp.statistics.survival import steps_over_seeds

# Weeks of remission of leukaemia, 21 patients each, by treatment: 6-MP, where 12 are censored, and placebo (Freireich
# et al. 1963, in Kalbfleisch and Prentice 2002, table 1.1).
TREATED: list[float | None] = [6, 6, 6, 7, 10, 13, 16, 22, 23, *[None] * 12]
FOLLOWED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_published_times_with_censoring() -> None:
    # R's survfit with conf.type="log-log", and SAS's LIFETEST: median 23 [13, none]; mean up to 35 weeks 23.29.
    weeks = steps_over_seeds(TREATED, FOLLOWED)
    assert (weeks.median, weeks.low, weeks.high, weeks.reached, weeks.n, weeks.followed) == (23, 13, None, 9, 21, 35)
    assert weeks.restricted_mean == pytest.approx(23.29, abs=0.005)


def test_published_times_without_censoring() -> None:
    weeks = steps_over_seeds(PLACEBO, PLACEBO)
    assert (weeks.median, weeks.low, weeks.high) == (8, 4, 11)
    assert weeks.restricted_mean == pytest.approx(sum(PLACEBO) / 21)  # nobody is censored: the mean


def test_three_seeds_by_hand() -> None:
    # One reaches the threshold at 2, one stops at 4, the last reaches it at 6: S is 2/3 from 2 on, and 0 from 6 on.
    steps = steps_over_seeds([2, None, 6], [10, 4, 10])
    assert (steps.median, steps.reached, steps.n, steps.followed, steps.horizon) == (6, 2, 3, 10, 10)
    assert steps.restricted_mean == pytest.approx(2 + 4 * 2 / 3)
    assert steps_over_seeds([2, None, 6], [10, 4, 10], horizon=5).restricted_mean == pytest.approx(2 + 3 * 2 / 3)
    assert steps_over_seeds([2, None, 6], [10, 4, 10], horizon=1).restricted_mean == 1


@pytest.mark.parametrize("reached", [3, 4, 5, 6])
def test_the_median_is_beyond_the_last_step_where_fewer_than_half_got_there(reached: int) -> None:
    first = [*range(10, 10 * reached + 1, 10), *[None] * (10 - reached)]
    assert steps_over_seeds(first, [200] * 10).median == (None if reached < 5 else 50)


def test_none_got_there() -> None:
    steps = steps_over_seeds([None, None], [200, 150])
    assert (steps.median, steps.low, steps.high, steps.reached, steps.n, steps.followed) == (
        None,
        None,
        None,
        0,
        2,
        200,
    )
    assert steps.restricted_mean == 200


def test_a_seed_that_failed_early_is_censored_there() -> None:
    # After 10 steps 4 of 5 are on their way, of whom one fails at 15: S(20) = 4/5 x 2/3 = .53, S(30) = .27. Taken as
    # one that never gets there, and as one that is left out, it would be .6 and .5.
    assert steps_over_seeds([10, 20, 30, 40, None], [50, 50, 50, 50, 15]).median == 30


def test_a_passage_counts_before_a_seed_that_stops_at_the_same_step() -> None:
    # At 10 all four are on their way: S = 3/4, then of the two left one: 3/8.
    assert steps_over_seeds([10, None, 20, 30], [10, 10, 30, 30]).restricted_mean == pytest.approx(
        10 + 0.75 * 10 + 0.375 * 10
    )


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_holds_where_the_log_log_interval_of_the_share_holds_a_half(level: float) -> None:
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
    steps = steps_over_seeds(first, [9] * 10, level)
    assert (steps.low, steps.high) == (low, high)
    assert {low, high}.isdisjoint({None, 5})


@pytest.mark.parametrize("first", [[3], [3, 3, 3], [None]])
def test_seeds_that_do_not_vary_have_no_interval(first: list[float | None]) -> None:
    steps = steps_over_seeds(first, [9] * len(first))
    assert (steps.low, steps.high) == (None, None)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ([], [], "one or more seeds"),
        ([1, 2], [3], "one last evaluation for each"),
        ([5], [4], "reached by the last evaluation"),
        ([math.nan], [4], "steps are finite"),
        ([None], [math.inf], "steps are finite"),
        ([-1], [4], "not negative"),
    ],
)
def test_refuses_what_are_no_steps(first: Sequence[float | None], last: Sequence[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        steps_over_seeds(first, last)


def test_refuses_a_level_that_is_none_and_a_horizon_that_nobody_reached() -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        steps_over_seeds([1], [2], level=1)
    with pytest.raises(ValueError, match="no seed was followed to the horizon 3, only to 2"):
        steps_over_seeds([1], np.array([2]), horizon=3)
