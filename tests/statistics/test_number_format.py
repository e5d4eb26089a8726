"""Text of numbers."""

import math

import pytest

from pgexp.statistics.number_format import decimal_places, format_decimal, format_number, short_number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.7314, "0.731"), (0.0, "0.000"), (-9.25, "-9.250"), (10.0, "10.0"), (488.44, "488.4"), (-2619.06, "-2,619.1")],
)
def test_format_number_chooses_decimals_by_size(value: float, text: str) -> None:
    assert format_number(value) == text


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
def test_decimal_places_show_four_digits(values: list[float], expected: int) -> None:
    assert decimal_places(values) == expected


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [(1234.56, 1, "1,234.6"), (-2.5, 2, "-2.50"), (-0.001, 1, "0.0"), (-1000.4, 0, "-1,000"), (math.nan, 1, "-")],
)
def test_format_decimal(value: float, places: int, expected: str) -> None:
    assert format_decimal(value, places) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (512, "512"), (50_000, "50k"), (110_044, "110k"), (999_700, "1M"), (1_250_000, "1.25M"), (2e9, "2G")],
)
def test_short_number(value: float, text: str) -> None:
    assert short_number(value) == text


def test_short_number_with_more_digits() -> None:
    assert short_number(112_500, digits=6) == "112.5k"
