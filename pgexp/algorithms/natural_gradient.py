"""Gradient transforms, and the natural policy gradient."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from pgexp.algorithms.algorithm import TrainState
from pgexp.algorithms.errors import DivergenceError
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.functional.optimization import conjugate_gradient
from pgexp.schema import names
from pgexp.schema.types import NonNegativeInt, PositiveFloat, PositiveInt


class GradientTransform(ABC):
    """A map from the loss's gradient to another direction of descent, applied before the optimizer step."""

    @abstractmethod
    def __call__(
        self, state: TrainState, batch: Batch, weights: Floats, gradients: Sequence[Tensor]
    ) -> tuple[list[Tensor], dict[str, float]]:
        """Return the direction and metrics by name.

        Args:
            state: of the run.
            batch: normalized, with S steps.
            weights: [S], the weight of each step's state in the loss.
            gradients: one per trainable parameter, as is the returned direction.
        """


class NaturalGradient(GradientTransform):
    """``(F + damping I)^-1 g``: the steepest direction if steps are measured by the policy's divergence.

    Amari 1998; Kakade 2001. ``F = sum_t w_t E_a[grad log pi grad log pi^T]``, with the loss's weights w of the steps
    (1/K for K episodes), is the Fisher information of the batch's states (Bagnell & Schneider 2003; Peters & Schaal
    2008). It is exact over actions, because it is the second derivative of ``sum_t w_t KL(old || new)`` at new = old.

    A step of rate 1 changes the policy by about ``x^T F x / (2 sum_t w_t)`` nats per state (Kakade 2001). If that
    exceeds `max_kl`, the step is scaled down to it: the truncated natural policy gradient (Duan et al. 2016), which is
    TRPO's step without its line search (Schulman et al. 2015).

    Policies of up to `exact_up_to` parameters are solved exactly (P products with F, and its eigenvectors), others by
    at most `iterations` of conjugate gradient, each of which costs about two updates.
    """

    def __init__(
        self,
        damping: PositiveFloat,
        max_kl: PositiveFloat | None,
        exact_up_to: NonNegativeInt,
        iterations: PositiveInt,
        tolerance: PositiveFloat,
    ) -> None:
        self._damping = damping
        self._max_kl = max_kl
        self._exact_up_to = exact_up_to
        self._iterations, self._tolerance = iterations, tolerance

    def __call__(
        self, state: TrainState, batch: Batch, weights: Floats, gradients: Sequence[Tensor]
    ) -> tuple[list[Tensor], dict[str, float]]:
        """Return the natural gradient, and the relative residual of the equation."""
        g = torch.cat([gradient.flatten() for gradient in gradients])
        product = fisher_product(state, batch, weights)
        if len(g) <= self._exact_up_to:
            x = solve_damped(product(torch.eye(len(g), dtype=g.dtype)), self._damping, g)
        else:
            x = conjugate_gradient(
                lambda v: product(v.unsqueeze(0))[0] + self._damping * v, g, self._iterations, self._tolerance
            )
        image = product(x.unsqueeze(0))[0]
        residual = (image + self._damping * x - g).norm() / g.norm().clamp(min=torch.finfo(g.dtype).tiny)
        kl = (x * image).sum().item() / (2 * float(weights.sum()))
        if self._max_kl is not None and kl > self._max_kl:
            x = x * sqrt(self._max_kl / kl)
        parts = x.split([gradient.numel() for gradient in gradients])
        direction = [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]
        return direction, {names.FISHER_RESIDUAL: residual.item()}


def fisher_product(state: TrainState, batch: Batch, weights: Floats) -> Callable[[Tensor], Tensor]:
    """Return the function from vectors v, [n, P], to F v, [n, P] (Pearlmutter 1994: a gradient of a gradient)."""
    parameters, policy = state.trainable, state.policy
    outputs = policy.forward(state.parameters, batch).parameters
    divergence = policy.distribution.kl(outputs.detach(), outputs)
    loss = (torch.from_numpy(weights).to(outputs.dtype) * divergence).sum()
    first = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    flat = torch.cat([gradient.flatten() for gradient in first])

    def vector_product(v: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(flat, parameters, v, retain_graph=True, materialize_grads=True)

    def product(v: Tensor) -> Tensor:
        second = torch.func.vmap(vector_product)(v)
        return torch.cat([part.flatten(1) for part in second], 1)

    return product


def solve_damped(fisher: Tensor, damping: float, g: Tensor) -> Tensor:
    """Return ``(F + damping I)^-1 g``, [P].

    fisher: F, [P, P], which rounding may have made asymmetric and slightly indefinite; g: [P].
    """
    if not fisher.isfinite().all():
        raise DivergenceError("the Fisher matrix is not finite")
    matrix = fisher.double().numpy()
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    coefficients = vectors.T @ g.double().numpy() / (np.maximum(eigenvalues, 0.0) + damping)
    return torch.from_numpy(vectors @ coefficients).to(g.dtype)
