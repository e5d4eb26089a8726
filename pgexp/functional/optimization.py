"""Policy-gradient loss, gradient norms, and optimizer steps whose results do not depend on the processor's vendor."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def policy_gradient_loss(log_prob: Tensor, advantage: Tensor, divisor: float) -> Tensor:
    """Return ``- sum_t A_t log pi(a_t | s_t) / divisor``.

    log_prob, advantage: [S]; the result: []. Its gradient is minus the REINFORCE estimate of the gradient of the
    expected return (Williams 1992; Sutton & Barto 2018, eq. 13.8) if the divisor is the number of episodes.
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
    """Return the inner product of two tensors of the same shape, without a gradient."""
    return float(np.dot(a.detach().numpy().ravel(), b.detach().numpy().ravel()))


def clip_gradients(gradients: Sequence[Tensor], norm: float, max_norm: float) -> None:
    """Scale the gradients in place by ``max_norm / norm`` if their norm exceeds max_norm (Pascanu et al. 2013)."""
    if norm > max_norm:
        torch._foreach_mul_(list(gradients), max_norm / norm)


def conjugate_gradient(product: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float) -> Tensor:
    """Return x of ``A x = b`` for a symmetric positive definite A (Hestenes & Stiefel 1952), from x = 0.

    b: [P], product: v -> A v; the result: [P]. It ends after `iterations`, or once ``|A x - b| <= tolerance |b|``.
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


def prevent_dynamo_import() -> None:
    """Keep torch's optimizers from importing torch.compile's front end, which takes more than a second of each process.

    They import it to mark four methods as not to be compiled, by an attribute; this sets the attribute before. An
    optimizer that is not fused still imports it.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        function = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if function is not None and not hasattr(function, "__dynamo_disable"):
            setattr(function, "__dynamo_disable", function)


def step(optimizer: torch.optim.Optimizer) -> None:
    """Take a step along the parameters' `grad`.

    torch computes square roots by MKL, whose last bits differ between vendors. Fused optimizers compute their own; the
    others use NumPy's square root, which is correctly rounded.
    """
    take = type(optimizer).step
    if type(optimizer).__module__.startswith("torch.optim."):
        take = inspect.unwrap(take)  # torch's wrappers import torch.compile's front end and call the profiler
    with torch.set_grad_enabled(optimizer.defaults.get("differentiable", False)):
        if all(group.get("fused") for group in optimizer.param_groups):
            take(optimizer)
            return
        with _PortableRoots():
            take(optimizer)


class _PortableRoots(TorchDispatchMode):
    """Replaces torch's square roots within its block."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        aten = torch.ops.aten
        if func is aten.sqrt.default:
            return _root(args[0])
        if func is aten.sqrt_.default:
            return args[0].copy_(_root(args[0]))
        if func is aten._foreach_sqrt.default:
            return [_root(x) for x in args[0]]
        if func is aten._foreach_sqrt_.default:
            for x in args[0]:
                x.copy_(_root(x))
            return None
        return func(*args, **(kwargs or {}))


def _root(x: Tensor) -> Tensor:
    return torch.from_numpy(np.sqrt(x.detach().numpy(), out=np.empty(tuple(x.shape), x.numpy().dtype)))
