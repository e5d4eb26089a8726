import math

import numpy as np
import pytest

from pgexp.statistics.effects import hedges_g, standardised_difference


def test_hedges_g_by_hand() -> None:
    # The variances of (1, 2, 3) and (2, 4, 6) are 1 and 4, pooled 2.5; J(4) = Gamma(2) / (sqrt(2) Gamma(3/2)), where
    # Gamma(3/2) = sqrt(pi) / 2.
    expected = -2 / math.sqrt(2.5) / (math.sqrt(2) * math.sqrt(math.pi) / 2)
    assert hedges_g(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])) == pytest.approx(expected)


def test_the_factor_of_hedges_at_unequal_n() -> None:
    # J(10) = .9227 (Hedges 1981, table 1); the deviations are 1 and 1, and the means differ by 1.
    a, b = np.array([-1.0, 0, 1]), np.array([-1.0, 1, -1, 1, -1, 1, -1, 1, 0]) - 1
    assert hedges_g(a, b) == pytest.approx(0.9227, abs=5e-5)


def test_it_is_unbiased_on_normal_scores() -> None:
    # At an effect of 1 and n = 5, g has a deviation of .7; the mean of 2,000 strays by .016, five times that is 6 in
    # 10^7. Without J it would be 1.107.
    a, b = np.random.default_rng(3).normal(size=(2, 2000, 5))
    values = [hedges_g(x + 1, y) for x, y in zip(a, b, strict=True)]
    assert np.mean([value for value in values if value is not None]) == pytest.approx(1, abs=0.08)


def test_pairs_by_hand() -> None:
    # The differences are 1, 2, 3, with mean 2 and deviation 1.
    assert standardised_difference(np.array([2.0, 4, 6]), np.array([1.0, 2, 3])) == pytest.approx(2)


def test_without_variation_or_with_one_seed_there_is_no_effect_size() -> None:
    assert hedges_g(np.array([1.0, 1]), np.array([2.0, 2])) is None
    assert hedges_g(np.array([1.0]), np.array([2.0, 3])) is None
    assert standardised_difference(np.array([1.0, 2]), np.array([2.0, 3])) is None
    assert standardised_difference(np.array([1.0]), np.array([2.0])) is None
