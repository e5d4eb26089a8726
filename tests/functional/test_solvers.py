"""Conjugate gradient compared with NumPy's solution."""

import numpy as np
import pytest
import torch

from pgexp.functional.solvers import conjugate_gradient


def positive(size: int, seed: int) -> np.ndarray:
    """Return a symmetric positive definite matrix."""
    x = np.random.default_rng(seed).normal(size=(size, size))
    return x @ x.T + 0.1 * np.eye(size)


@pytest.mark.parametrize("size", [1, 2, 10])
def test_it_solves_linear_systems(size: int) -> None:
    matrix, b = positive(size, size), np.random.default_rng(9).normal(size=size)
    found = conjugate_gradient(lambda v: torch.from_numpy(matrix) @ v, torch.from_numpy(b), 3 * size, 1e-12)
    np.testing.assert_allclose(found.numpy(), np.linalg.solve(matrix, b), rtol=1e-6)


def test_one_iteration_is_the_steepest_descent_step() -> None:
    matrix, b = np.diag([1.0, 4.0]), np.array([1.0, 1.0])
    found = conjugate_gradient(lambda v: torch.from_numpy(matrix) @ v, torch.from_numpy(b), 1, 0.0)
    assert found.tolist() == pytest.approx([2 / 5, 2 / 5])  # |b|^2 / (b A b) = 2 / 5


def test_it_stops_if_the_residual_is_below_the_tolerance() -> None:
    products = []

    def product(v: torch.Tensor) -> torch.Tensor:
        products.append(v)
        return torch.from_numpy(np.diag([1.0, 1.1, 1.2])) @ v

    b = torch.ones(3, dtype=torch.float64)
    x = conjugate_gradient(product, b, 100, 0.05)
    assert len(products) < 3
    assert np.linalg.norm(np.diag([1.0, 1.1, 1.2]) @ x.numpy() - b.numpy()) <= 0.05 * np.sqrt(3)


def test_the_solution_for_zeros_is_zeros() -> None:
    assert conjugate_gradient(lambda v: v, torch.zeros(4), 10, 1e-6).tolist() == [0.0] * 4
