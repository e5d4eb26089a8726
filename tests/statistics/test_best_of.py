"""The bias of the best of several: against published values of the largest of normal variables."""

import pytest

from pgexp.statistics.best_of import expected_maximum

# Expected largest order statistics of the standard normal distribution (Harter, 1961, table 1).
HARTER = {2: 0.56419, 3: 0.84628, 5: 1.16296, 10: 1.53875, 20: 1.86748, 50: 2.24907, 100: 2.50759}


@pytest.mark.parametrize("count", HARTER)
def test_the_largest_of_normal_variables(count: int) -> None:
    assert expected_maximum(count) == pytest.approx(HARTER[count], abs=0.03)


def test_the_only_one_is_not_overstated() -> None:
    assert expected_maximum(1) == 0.0
