import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from pgexp.statistics.estimates import interquartile_mean, mean, median, optimality_gap


def test_middle_half_is_averaged() -> None:
    # Eight scores: two go at each end, (3 + 4 + 5 + 6) / 4 remains.
    assert interquartile_mean([8, 1, 100, 3, -50, 4, 5, 6]) == (3 + 4 + 5 + 6) / 4


def test_five_scores_lose_one_at_each_end() -> None:
    assert interquartile_mean([500, 480, 0, 490, 500]) == pytest.approx((480 + 490 + 500) / 3)


@pytest.mark.parametrize("scores", [[7], [1, 4], [1, 2, 9]])
def test_below_four_scores_it_is_the_mean(scores: list[float]) -> None:
    assert interquartile_mean(scores) == sum(scores) / len(scores)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_agrees_with_scipy(scores: list[float]) -> None:
    assert math.isclose(interquartile_mean(scores), trim_mean(scores, 0.25), rel_tol=1e-9, abs_tol=1e-6)


def test_reduces_the_last_axis() -> None:
    scores = np.array([[[1, 2, 3, 4], [4, 4, 4, 4]], [[0, 0, 10, 10], [9, 1, 1, 9]]])
    np.testing.assert_array_equal(interquartile_mean(scores), [[2.5, 4], [5, 5]])


@pytest.mark.parametrize("scores", [[], [1, math.nan], np.empty((3, 0))])
def test_refuses_what_has_no_middle(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="none of them NaN"):
        interquartile_mean(scores)


def test_mean_and_median_by_hand() -> None:
    scores = [[9, 1, 2, 0], [4, 4, 5, 5]]
    assert mean(scores).tolist() == [3, 4.5]
    assert median(scores).tolist() == [1.5, 4.5]
    assert median([7, 1, 2]) == 2


def test_the_optimality_gap_makes_up_nothing_beyond_the_target() -> None:
    # Against 10 the scores fall short by 0, 0, 4 and 6.
    assert optimality_gap([12, 10, 6, 4], 10) == 2.5
    assert optimality_gap([[12, 10], [6, 14]], 10).tolist() == [0, 2]


@pytest.mark.parametrize("scores", [3.0, [], [1, math.nan], np.empty((3, 0))])
def test_no_estimate_is_made_of_nothing_or_nan(scores: list[float]) -> None:
    for estimate in (mean, median, lambda scores: optimality_gap(scores, 1)):
        with pytest.raises(ValueError, match="none of them NaN"):
            estimate(scores)


@pytest.mark.parametrize("target", [math.nan, math.inf])
def test_an_optimality_gap_needs_a_finite_target(target: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        optimality_gap([1.0], target)
