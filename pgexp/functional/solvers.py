"""Solvers of linear equations whose matrix is known by its products only."""

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradient(product: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float) -> Tensor:
    """Return x of ``A x = b`` for a symmetric positive definite A (Hestenes & Stiefel 1952), from x = 0.

    b: [P], product: v -> A v. It ends after so many iterations, or as soon as ``|A x - b| <= tolerance |b|``.
    """
    assert b.ndim == 1, b.shape
    x, residual = torch.zeros_like(b), b.clone()
    direction, squares = residual.clone(), residual.square().sum()
    goal = tolerance**2 * squares
    for _ in range(iterations):
        if squares <= goal:
            break
        image = product(direction)
        step = squares / (direction * image).sum()
        x += step * direction
        residual -= step * image
        following = residual.square().sum()
        direction = residual + following / squares * direction
        squares = following
    return x
