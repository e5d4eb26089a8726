"""Differentiable operations whose results do not depend on the processor's vendor.

torch computes matrix products, exp, log and tanh by MKL, whose results differ between vendors. Here NumPy's OpenBLAS
computes products, and compiled kernels compute elementary functions. All operations can be differentiated twice, and
`torch.func.vmap` may map over the vectors of a vector-Jacobian product.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor
from torch._C._functorch import is_batchedtensor

from pgexp.kernels import compilation, elementary, forward
from pgexp.kernels.layout import ACTIVATIONS, LEAK
from pgexp.kernels.layout import ActivationName as Activation


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return _matmul(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        of_a = product(gradient, b.mT) if ctx.needs_input_grad[0] else None
        return of_a, product(a.mT, gradient) if ctx.needs_input_grad[1] else None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, int | None], a: Tensor, b: Tensor) -> tuple[Tensor, int]:
        batched = [x if dim is None else x.movedim(dim, 0) for x, dim in zip((a, b), dims, strict=True)]
        return _Product.apply(*batched), 0


class _Dense(torch.autograd.Function):
    """``activation(x W + b)`` as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
        y = np.matmul(x.numpy(), weight.numpy())
        if bias is not None or activation != "none":
            offsets = np.zeros(0, y.dtype) if bias is None else bias.numpy()
            _add_bias_and_activate(y.dtype)(y, offsets, ACTIVATIONS.index(activation))
        result = torch.from_numpy(y)
        ctx.activation, ctx.has_bias = activation, bias is not None
        ctx.save_for_backward(x, weight, result if activation != "none" else None)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None]:
        x, weight, y = ctx.saved_tensors
        match ctx.activation:
            case "relu":
                gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
            case "leaky_relu":
                gradient = torch.ops.aten.leaky_relu_backward(gradient, y, LEAK, True)
            case "tanh":
                gradient = torch.ops.aten.tanh_backward(gradient, y)
        of_x = product(gradient, weight.mT) if ctx.needs_input_grad[0] else None
        return of_x, product(x.mT, gradient), gradient.sum(0) if ctx.has_bias else None, None


@cache
def _add_bias_and_activate(dtype: np.dtype[Any]) -> Any:
    return compilation.entry_point(forward.add_bias_and_activate, np.zeros((1, 1), dtype), np.zeros(1, dtype), 0)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.from_numpy(elementary.tanh(x.numpy()))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, y)


class _Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.from_numpy(elementary.exp(x.numpy()))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient * y


class _Log(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(elementary.log(x.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient / x


class _Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(elementary.softplus(x.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(x)


class _LogSoftmax(torch.autograd.Function):
    """torch's own calls MKL's exp in its second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.log_softmax(x, -1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient - exp(y) * gradient.sum(-1, keepdim=True)


class _LogGamma(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(special.gammaln(x.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * digamma(x)


class _Digamma(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(special.psi(x.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.from_numpy(special.polygamma(1, x.detach().numpy()))


def _applied(function: Any, x: Tensor) -> Tensor:
    """Return the function's result, as a node of the graph if it will be differentiated."""
    if torch.is_grad_enabled() and x.requires_grad:
        result: Tensor = function.apply(x)
        return result
    return function.forward(_NoContext(), x.detach())


class _NoContext:
    """Context of a function that is not differentiated."""

    def save_for_backward(self, *tensors: Tensor) -> None:
        pass


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    return torch.from_numpy(np.matmul(a.numpy(), b.numpy()))


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product. a: [..., n, k], b: [..., k, m]; the result: [..., n, m]."""
    differentiable = torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
    if differentiable or is_batchedtensor(a) or is_batchedtensor(b):
        result: Tensor = _Product.apply(a, b)
        return result
    return _matmul(a, b)  # a Function takes longer than a small product


def dense(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none") -> Tensor:
    """Return ``activation(x W + b)``. x: [B, I], weight: [I, O], bias: [O]; the result: [B, O]."""
    assert x.ndim == weight.ndim == 2, (x.shape, weight.shape)
    result: Tensor = _Dense.apply(x, weight, bias, activation)
    return result


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Return the activation of each element."""
    match activation:
        case "relu":
            return torch.relu(x)
        case "leaky_relu":
            return torch.nn.functional.leaky_relu(x, LEAK)
        case "tanh":
            return tanh(x)
        case "none":
            return x


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent of each element."""
    return _applied(_Tanh, x)


def sigmoid(x: Tensor) -> Tensor:
    """Return ``1 / (1 + exp(-x))`` of each element."""
    return 0.5 + 0.5 * tanh(0.5 * x)


def exp(x: Tensor) -> Tensor:
    """Return the exponential of each element."""
    return _applied(_Exp, x)


def log(x: Tensor) -> Tensor:
    """Return the natural logarithm of each element."""
    return _applied(_Log, x)


def softplus(x: Tensor) -> Tensor:
    """Return ``log(1 + exp(x))`` of each element."""
    return _applied(_Softplus, x)


def log_softmax(x: Tensor) -> Tensor:
    """Return ``x - log(sum exp(x))`` over the last axis."""
    return _applied(_LogSoftmax, x)


def lgamma(x: Tensor) -> Tensor:
    """Return the logarithm of the Gamma function of each element."""
    return _applied(_LogGamma, x)


def digamma(x: Tensor) -> Tensor:
    """Return the derivative of `lgamma` of each element. It can be differentiated once."""
    return _applied(_Digamma, x)
