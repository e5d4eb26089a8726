"""Measures of predictions and updates."""

import numpy as np
import pytest
import torch

from pgexp.functional.diagnostics import dead_units, explained_variance, sum_variance

TARGET = np.array([1.0, 2.0, 3.0, 6.0])  # mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5


def test_a_perfect_prediction_up_to_a_constant_explains_all() -> None:
    assert explained_variance(TARGET, TARGET) == 1.0
    assert explained_variance(TARGET + 100.0, TARGET) == 1.0


def test_a_constant_explains_nothing() -> None:
    assert explained_variance(np.full(4, 7.0), TARGET) == 0.0


def test_explained_variance_is_one_minus_the_ratio_of_variances() -> None:
    # residuals 1, 0, -1, 4: mean 1, variance (0 + 1 + 4 + 9) / 4 = 3.5, as much as the target's
    assert explained_variance(np.array([0.0, 2.0, 4.0, 2.0]), TARGET) == pytest.approx(0.0)
    # residuals -1, -1, 1, 1: variance 1
    assert explained_variance(np.array([2.0, 3.0, 2.0, 5.0]), TARGET) == pytest.approx(1 - 1 / 3.5)


def test_a_prediction_worse_than_a_constant_is_negative() -> None:
    assert explained_variance(-TARGET, TARGET) == pytest.approx(1 - 4.0)


@pytest.mark.parametrize("target", [5.0, 0.1])  # the computed variance of 0.1 three times is not 0
def test_explained_variance_is_none_if_the_target_is_constant(target: float) -> None:
    assert explained_variance(np.array([1.0, 2.0, 4.0]), np.full(3, target)) is None
    assert explained_variance(np.array([1.0]), np.array([target])) is None


def test_the_variance_of_a_sum_is_estimated_from_its_parts() -> None:
    # parts 1, 3, 5 in the first component: mean 3, squares 4 + 0 + 4; none in the second: 8 * 3 / 2
    assert sum_variance(np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])) == pytest.approx(12.0)


def test_a_unit_is_dead_if_it_is_equal_on_all_rows() -> None:
    first = torch.tensor([[0.0, 1.0, -1.0], [0.0, 2.0, -1.0]])
    second = torch.tensor([[0.0], [1e-6]])
    assert dead_units([first]) == pytest.approx(2 / 3)
    assert dead_units([first, second]) == pytest.approx(2 / 4)
