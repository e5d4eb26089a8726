"""Losses whose gradient is the policy gradient estimate; norms and clipping of gradients."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def policy_gradient_loss(log_prob: Tensor, advantage: Tensor, divisor: float) -> Tensor:
    """Return ``- sum_t A_t log pi(a_t | s_t) / divisor``.

    log_prob, advantage: [S]; the result: []. Its gradient is minus the REINFORCE estimate of the gradient of the
    expected return (Williams 1992; Sutton & Barto 2018, eq. 13.8) where the divisor is the number of episodes.
    """
    assert log_prob.ndim == advantage.ndim == 1, (log_prob.shape, advantage.shape)
    return -(advantage * log_prob).sum() / divisor


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return ``mean_t (v_t - g_t)^2``, without the half. prediction, target: [S]; the result: []."""
    assert prediction.ndim == target.ndim == 1, (prediction.shape, target.shape)
    return (prediction - target).square().mean()


def gradient_norm(gradients: Sequence[Tensor]) -> float:
    """Return the Euclidean norm of all gradients taken as one vector."""
    return math.sqrt(sum(inner_product(gradient, gradient) for gradient in gradients))


def inner_product(a: Tensor, b: Tensor) -> float:
    """Return the sum of the products of all elements. a, b: of one shape; gradients do not flow through it."""
    return float(np.dot(a.detach().numpy().ravel(), b.detach().numpy().ravel()))


def clip_gradients(gradients: Sequence[Tensor], norm: float, max_norm: float) -> None:
    """Scale the gradients in place by ``max_norm / norm`` where their norm exceeds max_norm (Pascanu et al. 2013)."""
    if norm > max_norm:
        torch._foreach_mul_(list(gradients), max_norm / norm)
