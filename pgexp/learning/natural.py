"""Natural policy gradient."""

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.functional.solvers import conjugate_gradient
from pgexp.learning.algorithm import DivergenceError, Student
from pgexp.learning.direction import Direction
from pgexp.schema import names
from pgexp.schema.types import NonNegativeInt, PositiveFloat, PositiveInt


class NaturalGradient(Direction):
    """``(F + damping I)^-1 g``: the steepest direction as the policy's own divergence measures steps.

    Amari 1998; Kakade 2001. ``F = sum_t w_t E_a[grad log pi grad log pi^T]``, with the weights w that the loss gives
    its steps (1/K for K episodes), is the Fisher information of the batch's states (Bagnell & Schneider 2003; Peters &
    Schaal 2008): exact over actions, since it is the second derivative of ``sum_t w_t KL(old || new)`` at new = old.

    A step of rate 1 is predicted to change the policy by ``x^T F x / (2 sum_t w_t)`` nats a state (Kakade 2001); where
    that is more than `max_kl`, it is shortened to it: the truncated natural policy gradient (Duan et al. 2016), which
    is TRPO's step without its line search (Schulman et al. 2015).

    Policies of up to `exact_up_to` parameters are solved exactly (P products with F, and its eigenvectors); others by
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
        self, student: Student, batch: Batch, weights: Floats, gradients: Sequence[Tensor]
    ) -> tuple[list[Tensor], dict[str, float]]:
        """Return the natural gradient, and how far the equation is left unsolved."""
        g = torch.cat([gradient.flatten() for gradient in gradients])
        product = fisher_product(student, batch, weights)
        if len(g) <= self._exact_up_to:
            x = _solved(product(torch.eye(len(g), dtype=g.dtype)), self._damping, g)
        else:
            x = conjugate_gradient(
                lambda v: product(v.unsqueeze(0))[0] + self._damping * v, g, self._iterations, self._tolerance
            )
        image = product(x.unsqueeze(0))[0]
        residual = (image + self._damping * x - g).norm() / g.norm().clamp(min=torch.finfo(g.dtype).tiny)
        return _like(self._bounded(x, image, float(weights.sum())), gradients), {names.FISHER_RESIDUAL: residual.item()}

    def _bounded(self, x: Tensor, image: Tensor, states: float) -> Tensor:
        predicted = (x * image).sum().item() / (2 * states)
        if self._max_kl is None or not predicted > self._max_kl:
            return x
        return x * sqrt(self._max_kl / predicted)


def fisher_product(student: Student, batch: Batch, weights: Floats) -> Callable[[Tensor], Tensor]:
    """Return the function from vectors v, [n, P], to F v, [n, P] (Pearlmutter 1994: a gradient of a gradient)."""
    parameters, policy = student.trainable, student.policy
    found = policy.read(student.parameters, batch).parameters
    divergence = policy.distribution.kl(found.detach(), found)
    loss = (torch.from_numpy(weights).to(found.dtype) * divergence).sum()
    first = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    flat = torch.cat([gradient.flatten() for gradient in first])

    def along(v: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(flat, parameters, v, retain_graph=True, materialize_grads=True)

    def product(v: Tensor) -> Tensor:
        second = torch.func.vmap(along)(v)
        return torch.cat([part.flatten(1) for part in second], 1)

    return product


def _solved(fisher: Tensor, damping: float, g: Tensor) -> Tensor:
    """Return ``(F + damping I)^-1 g``. F: [P, P], which rounding may have made asymmetric and slightly indefinite."""
    if not fisher.isfinite().all():
        raise DivergenceError("the Fisher matrix is not finite")
    matrix = fisher.double().numpy()
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    along = vectors.T @ g.double().numpy() / (np.maximum(eigenvalues, 0.0) + damping)
    return torch.from_numpy(vectors @ along).to(g.dtype)


def _like(flat: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]
