import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from pgexp.statistics.estimates import interquartile_mean


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
