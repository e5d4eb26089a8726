import math

import pytest

from pgexp.statistics.area import area_under_curve


def test_a_triangle_has_half_its_height() -> None:
    assert area_under_curve([0, 50, 100], [0, 10, 0], 0, 100) == 5


def test_ends_are_interpolated_within_the_curve() -> None:
    # From 25 to 60 the line goes 5, 10, 8: 25 x 7.5 + 10 x 9 = 277.5 over 35 steps.
    assert area_under_curve([0, 50, 100], [0, 10, 0], 25, 60) == pytest.approx(277.5 / 35)
    assert area_under_curve([0, 100], [-1, 1], 90, 100) == pytest.approx(0.9)


def test_unequal_grids_of_one_line_have_one_area() -> None:
    line = [3 + 2 * step for step in (0, 7, 30, 64, 100)]
    assert area_under_curve([0, 7, 30, 64, 100], line, 10, 90) == pytest.approx(103)
    assert area_under_curve([0, 100], [3, 203], 10, 90) == pytest.approx(103)


@pytest.mark.parametrize(("low", "high"), [(0, 50), (10, 101), (50, 50), (60, 50), (math.nan, 50)])
def test_refuses_a_range_that_the_curve_does_not_cover(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="the curve reaches from 10 to 100, not from"):
        area_under_curve([10, 100], [0, 1], low, high)


def test_refuses_a_curve_without_points() -> None:
    with pytest.raises(ValueError, match="the curve reaches nowhere"):
        area_under_curve([], [], 0, 1)


@pytest.mark.parametrize(("steps", "returns"), [([0, 0], [1, 2]), ([1, 0], [1, 2]), ([0, 1], [1, math.nan])])
def test_refuses_what_is_no_curve(steps: list[float], returns: list[float]) -> None:
    with pytest.raises(ValueError, match="finite returns at increasing steps"):
        area_under_curve(steps, returns, 0, 1)


def test_refuses_steps_and_returns_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match="one return for each step"):
        area_under_curve([0, 1, 2], [1, 2], 0, 1)
