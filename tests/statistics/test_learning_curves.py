"""Learning curves on common steps, and the area under a curve."""

import math

import numpy as np
import pytest

from pgexp.statistics.learning_curves import MAX_POINTS, area_under_curve, on_common_steps


def test_seeds_are_interpolated_on_common_steps() -> None:
    first = (np.array([100.0, 200, 300]), np.array([0.0, 10, 30]))
    second = (np.array([120.0, 220, 320]), np.array([1.0, 2, 3]))
    grid, values = on_common_steps([first, second])
    # From the second seed's first step to the first seed's last, with three points as in both.
    np.testing.assert_allclose(grid, [120, 210, 300])
    np.testing.assert_allclose(values, [[2, 12, 30], [1, 1.9, 2.8]])


def test_equal_steps_are_kept() -> None:
    seeds = [(np.array([100.0, 200, 300]), np.array([1.0, 2, 4])), (np.array([100.0, 200, 300]), np.array([3.0, 2, 1]))]
    grid, values = on_common_steps(seeds)
    assert grid.tolist() == [100, 200, 300]
    assert values.tolist() == [[1, 2, 4], [3, 2, 1]]


def test_grid_is_empty_without_common_steps() -> None:
    seeds = [(np.array([100.0]), np.array([1.0])), (np.array([110.0]), np.array([1.0]))]
    assert on_common_steps(seeds)[0].size == 0
    assert on_common_steps([])[0].size == 0


def test_short_and_late_seeds_are_not_extrapolated() -> None:
    whole = [(np.array([100.0, 200, 300, 400]), np.array([1.0, 2, 3, 4])) for _ in range(2)]
    short = (np.array([100.0, 200, 250]), np.array([7.0, 8, 9]))
    late = (np.array([290.0, 390]), np.array([5.0, 6]))
    grid, values = on_common_steps([*whole, short, late])
    assert grid.tolist() == [100, 200, 300, 400]
    np.testing.assert_array_equal(values[2], [7, 8, np.nan, np.nan])
    np.testing.assert_allclose(values[3], [np.nan, np.nan, 5.1, np.nan])


def test_slightly_shorter_seeds_shorten_the_grid() -> None:
    # Evaluations are 100 steps apart; one seed's last evaluation is 60 steps earlier.
    seeds = [(np.array([100.0, 200, 300]), np.ones(3)), (np.array([90.0, 180, 240]), np.ones(3))]
    grid, values = on_common_steps(seeds)
    assert grid.tolist() == [100, 170, 240]
    assert not np.isnan(values).any()


def test_grid_has_a_maximum_size() -> None:
    steps = np.arange(1.0, 10 * MAX_POINTS)
    grid, values = on_common_steps([(steps, 2 * steps)])
    assert grid.size == MAX_POINTS
    np.testing.assert_allclose(values, [2 * grid])


def test_area_of_a_triangle() -> None:
    assert area_under_curve([0, 50, 100], [0, 10, 0], 0, 100) == 5


def test_area_interpolates_the_ends() -> None:
    # From 25 to 60 the line is 5, 10, 8: 25 x 7.5 + 10 x 9 = 277.5 over 35 steps.
    assert area_under_curve([0, 50, 100], [0, 10, 0], 25, 60) == pytest.approx(277.5 / 35)
    assert area_under_curve([0, 100], [-1, 1], 90, 100) == pytest.approx(0.9)


def test_area_does_not_depend_on_the_grid() -> None:
    line = [3 + 2 * step for step in (0, 7, 30, 64, 100)]
    assert area_under_curve([0, 7, 30, 64, 100], line, 10, 90) == pytest.approx(103)
    assert area_under_curve([0, 100], [3, 203], 10, 90) == pytest.approx(103)


@pytest.mark.parametrize(("low", "high"), [(0, 50), (10, 101), (50, 50), (60, 50), (math.nan, 50)])
def test_area_needs_a_covered_range(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=r"it covers \[10, 100\]"):
        area_under_curve([10, 100], [0, 1], low, high)


def test_area_needs_points() -> None:
    with pytest.raises(ValueError, match="covers no steps"):
        area_under_curve([], [], 0, 1)


@pytest.mark.parametrize(("steps", "returns"), [([0, 0], [1, 2]), ([1, 0], [1, 2]), ([0, 1], [1, math.nan])])
def test_area_needs_increasing_steps_and_finite_returns(steps: list[float], returns: list[float]) -> None:
    with pytest.raises(ValueError, match="finite returns at increasing steps"):
        area_under_curve(steps, returns, 0, 1)


def test_area_needs_equal_lengths() -> None:
    with pytest.raises(ValueError, match="equal length"):
        area_under_curve([0, 1, 2], [1, 2], 0, 1)
