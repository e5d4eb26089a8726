import math

import pytest

from pgexp.comparison.report.numbers import MINUS, PAD, number_in_text, probability, typeset, with_intervals


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        (1234.56, 1, "1,234.6"),
        (-2.5, 2, f"{MINUS}2.50"),
        (-0.001, 1, "0.0"),
        (math.nan, 1, "\N{EN DASH}"),
        (-math.inf, 1, f"{MINUS}\N{INFINITY}"),
    ],
)
def test_a_number_is_typeset(value: float, places: int, expected: str) -> None:
    assert typeset(value, places) == expected


def test_intervals_of_a_column_line_up() -> None:
    cells = with_intervals([99.2, -1, 3], [60, -10.5, math.nan], [140, 2, math.nan], 1)
    assert cells == [
        f"99.2 [{PAD}60.0, 140.0]",
        f"{MINUS}1.0 [{MINUS}10.5, {PAD * 2}2.0]",
        f"3.0{PAD * 14}",
    ]  # the last as wide as the others' intervals with the blank before them
    assert len({len(cell.partition(" ")[2]) for cell in cells[:2]}) == 1


def test_a_column_without_intervals_is_not_padded() -> None:
    assert with_intervals([1.0, 2.0], [math.nan] * 2, [math.nan] * 2, 0) == ["1", "2"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0625, ".0625"), (0.00004, "<.0001"), (1.0, "1.0000"), (0.99999, "1.0000"), (math.nan, "\N{EN DASH}")],
)
def test_a_p_value_is_written_as_journals_do(value: float, expected: str) -> None:
    assert probability(value) == expected


def test_a_number_in_a_sentence_has_four_digits() -> None:
    assert [number_in_text(value) for value in (137.64, -0.5, 20_000)] == ["137.6", f"{MINUS}0.5000", "20,000"]
