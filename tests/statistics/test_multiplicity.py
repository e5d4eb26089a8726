import math

import numpy as np
import pytest

from pgexp.statistics.multiplicity import holm


def test_by_hand() -> None:
    # Sorted .005, .01, .03, .04, times 4, 3, 2, 1: .02, .03, .06, .04, of which none may lie below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_never_above_one_and_one_test_alone_stays() -> None:
    assert holm([0.4, 0.9]).tolist() == [0.8, 0.9]
    assert holm([0.6, 0.9]).tolist() == [1, 1]
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []


def test_ties_are_adjusted_alike() -> None:
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])


def test_what_could_not_be_tested_does_not_count() -> None:
    assert holm([math.nan, 0.02, math.nan, 0.03]) == pytest.approx([math.nan, 0.04, math.nan, 0.04], nan_ok=True)


@pytest.mark.parametrize("p", [[-0.1], [1.1, 0.5], 0.5, np.zeros((2, 2))])
def test_refuses_what_are_no_probabilities(p: list[float]) -> None:
    with pytest.raises(ValueError, match="a vector of probabilities"):
        holm(p)
