"""Linear equations whose matrix is known by its products alone."""

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradient(product: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float) -> Tensor:
    """Return x of ``A x = b`` for a symmetric positive definite A (Hestenes & Stiefel 1952), from x = 0.

    b: [P], product: v -> A v. It ends after so many iterations, or where ``|A x - b| <= tolerance |b|``.
    """
    assert b.ndim == 1, b.shape
    x, residual = torch.zeros_like(b), b.clone()
    direction, squares = residual.clone(), residual.dot(residual)
    goal = tolerance**2 * squares
    for _ in range(iterations):
        if squares <= goal:
            break
        image = product(direction)
        step = squares / direction.dot(image)
        x += step * direction
        residual -= step * image
        following = residual.dot(residual)
        direction = residual + following / squares * direction
        squares = following
    return x
