"""Returns as people read them."""

import pytest

from pgexp.statistics.digits import written


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.7314, "0.731"), (0.0, "0.000"), (-9.25, "-9.250"), (10.0, "10.0"), (488.44, "488.4"), (-2619.06, "-2,619.1")],
)
def test_decimals_are_those_that_tell_returns_of_its_size_apart(value: float, text: str) -> None:
    assert written(value) == text
