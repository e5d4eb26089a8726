import math

import pytest

from pgexp.statistics.thresholds import steps_to_threshold


def test_first_step_at_the_threshold_counts_even_if_it_is_lost_again() -> None:
    assert steps_to_threshold([10, 20, 30, 40], [100, 475, 300, 500], 475) == 20


def test_order_does_not_matter() -> None:
    assert steps_to_threshold([40, 10, 30], [500, 0, 490], 475) == 30


@pytest.mark.parametrize("returns", [[-200.0, -100.1], [math.nan, math.nan]])
def test_never_is_none(returns: list[float]) -> None:
    assert steps_to_threshold([1, 2], returns, -100) is None


def test_no_evaluation_is_never() -> None:
    assert steps_to_threshold([], [], 0) is None


def test_refuses_steps_and_returns_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match="one return for each step"):
        steps_to_threshold([1, 2, 3], [1, 2], 0)
