"""Returns as people read them."""

import math

import pytest

from pgexp.statistics.digits import decimals, number, written


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.7314, "0.731"), (0.0, "0.000"), (-9.25, "-9.250"), (10.0, "10.0"), (488.44, "488.4"), (-2619.06, "-2,619.1")],
)
def test_decimals_are_those_that_tell_returns_of_its_size_apart(value: float, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([483.25, 9.1], 1),
        ([9.871], 3),
        ([-1234.5], 0),
        ([0.05], 5),
        ([1e-9], 6),
        ([0.0, math.nan, math.inf], 0),
        ([], 0),
    ],
)
def test_decimals_show_four_digits_of_the_largest_finite_number(values: list[float], expected: int) -> None:
    assert decimals(values) == expected


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [(1234.56, 1, "1,234.6"), (-2.5, 2, "-2.50"), (-0.001, 1, "0.0"), (-1000.4, 0, "-1,000"), (math.nan, 1, "-")],
)
def test_a_number_is_written_for_a_table(value: float, places: int, expected: str) -> None:
    assert number(value, places) == expected
