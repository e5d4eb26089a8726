"""Differentiable operations compared with torch's own operations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pgexp.functional.operations import (
    Activation,
    activate,
    dense,
    digamma,
    exp,
    lgamma,
    log,
    log_softmax,
    product,
    sigmoid,
    softplus,
    tanh,
)

Unary = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[Activation, Unary] = {
    "none": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "leaky_relu": functional.leaky_relu,
}
ELEMENTARY = {
    "tanh": (tanh, torch.tanh, -3.0, 3.0),
    "exp": (exp, torch.exp, -3.0, 3.0),
    "log": (log, torch.log, 0.1, 5.0),
    "sigmoid": (sigmoid, torch.sigmoid, -3.0, 3.0),
    "softplus": (softplus, functional.softplus, -3.0, 3.0),
    "lgamma": (lgamma, torch.lgamma, 2.5, 9.0),
    "log_softmax": (log_softmax, lambda x: torch.log_softmax(x, -1), -3.0, 3.0),
}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
EACH_ELEMENTARY = pytest.mark.parametrize(("ours", "theirs", "low", "high"), ELEMENTARY.values(), ids=ELEMENTARY)


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return normal numbers that require gradients."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def gradients_of(output: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Return the gradients of a weighted sum of the output, and those of a weighted sum of these gradients' squares."""
    weights = torch.arange(1.0, output.numel() + 1, dtype=output.dtype).reshape(output.shape)
    first = torch.autograd.grad((weights * output.square()).sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first), inputs)
    return [*first, *second]


def assert_same_derivatives(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    for found, expected in zip(gradients_of(ours, inputs), gradients_of(theirs, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


class TestProduct:
    @pytest.mark.parametrize(("left", "right"), [((3, 2), (2, 4)), ((1, 1), (1, 1)), ((5, 3, 2), (5, 2, 4))])
    @DTYPES
    def test_it_equals_torch(self, left: tuple[int, ...], right: tuple[int, ...], dtype: torch.dtype) -> None:
        a, b = drawn(*left, dtype=dtype), drawn(*right, seed=1, dtype=dtype)
        found = product(a, b)
        assert found.dtype == dtype
        torch.testing.assert_close(found, a @ b)

    def test_first_and_second_derivatives_equal_torch(self) -> None:
        a, b = drawn(3, 2), drawn(2, 4, seed=1)
        assert_same_derivatives(product(a, b), a @ b, [a, b])
        assert torch.autograd.gradgradcheck(product, (a, b))

    def test_an_input_that_needs_no_gradient_gets_none(self) -> None:
        a, b = drawn(3, 2).detach(), drawn(2, 4, seed=1)
        product(a, b).sum().backward()
        assert a.grad is None
        torch.testing.assert_close(b.grad, a.sum(0).unsqueeze(1).expand(2, 4))

    def test_vmap_over_autograd_grad_gives_hessian_vector_products(self) -> None:
        weight, x = drawn(3, 2), drawn(5, 3, seed=1).detach()
        expected = torch.autograd.functional.hessian(lambda w: (x @ w).tanh().square().sum(), weight.detach())
        (gradient,) = torch.autograd.grad(tanh(product(x, weight)).square().sum(), weight, create_graph=True)

        def times_hessian(vector: Tensor) -> Tensor:
            return torch.autograd.grad(gradient.flatten(), weight, vector, retain_graph=True)[0]

        found = torch.func.vmap(times_hessian)(torch.eye(6, dtype=torch.float64))
        torch.testing.assert_close(found.reshape(6, 6), expected.reshape(6, 6), rtol=1e-12, atol=1e-12)

    def test_vmap_over_torch_func_grad_gives_a_gradient_per_episode(self) -> None:
        weight, x = drawn(3, 2).detach(), drawn(4, 1, 3, seed=1).detach()
        found = torch.func.vmap(torch.func.grad(lambda w, x: product(x, w).square().sum()), (None, 0))(weight, x)
        expected = 2 * np.einsum("ebi,ebo->eio", x, x @ weight)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("dims", [(0, None), (None, 0), (0, 0), (1, 0), (None, 2)])
    def test_vmap_takes_any_batch_axis(self, dims: tuple[int | None, int | None]) -> None:
        a, b = drawn(3, 3, 3).detach(), drawn(3, 3, 3, seed=1).detach()
        left, right = (x if dim is not None else x[0] for x, dim in zip((a, b), dims, strict=True))
        found = torch.func.vmap(product, dims)(left, right)
        torch.testing.assert_close(found, torch.func.vmap(torch.matmul, dims)(left, right))


class TestDense:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @DTYPES
    def test_it_is_an_affine_map_and_an_activation(
        self, activation: Activation, bias: bool, dtype: torch.dtype
    ) -> None:
        x, weight, b = drawn(5, 3, dtype=dtype), drawn(3, 4, seed=1, dtype=dtype), drawn(4, seed=2, dtype=dtype)
        found = dense(x, weight, b if bias else None, activation)
        assert found.dtype == dtype
        torch.testing.assert_close(found, ACTIVATIONS[activation](functional.linear(x, weight.T, b if bias else None)))

    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_first_and_second_derivatives_equal_torch(self, activation: Activation, bias: bool) -> None:
        x, weight, b = drawn(5, 3), drawn(3, 4, seed=1), drawn(4, seed=2)
        inputs = [x, weight, b] if bias else [x, weight]
        theirs = ACTIVATIONS[activation](x @ weight + b if bias else x @ weight)
        assert_same_derivatives(dense(*inputs, activation=activation), theirs, inputs)
        assert torch.autograd.gradgradcheck(lambda *each: dense(*each, activation=activation), inputs)

    @pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
    def test_the_derivative_at_0_is_torchs(self, activation: Activation) -> None:
        x, weight = drawn(2, 3).detach(), torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(dense(x, weight, None, activation).sum(), weight)
        (expected,) = torch.autograd.grad(ACTIVATIONS[activation](x @ weight).sum(), weight)
        assert torch.equal(found, expected)

    def test_inputs_are_not_changed(self) -> None:
        x, weight, b = drawn(5, 3).detach(), drawn(3, 4, seed=1).detach(), drawn(4, seed=2).detach()
        before = x.clone(), weight.clone(), b.clone()
        for activation in ACTIVATIONS:
            dense(x, weight, b, activation)
        assert all(torch.equal(now, then) for now, then in zip((x, weight, b), before, strict=True))

    def test_ranks_are_asserted(self) -> None:
        with pytest.raises(AssertionError):
            dense(torch.ones(2, 3, 4), torch.ones(4, 5))


class TestElementary:
    @EACH_ELEMENTARY
    @DTYPES
    def test_values_equal_torch(self, ours: Unary, theirs: Unary, low: float, high: float, dtype: torch.dtype) -> None:
        x = torch.linspace(low, high, 1001, dtype=dtype)
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(ours(x), theirs(x), rtol=4 * eps, atol=2 * eps)

    @EACH_ELEMENTARY
    def test_first_and_second_derivatives_equal_torch(
        self, ours: Unary, theirs: Unary, low: float, high: float
    ) -> None:
        x = torch.linspace(low, high, 11, dtype=torch.float64).requires_grad_()
        assert_same_derivatives(ours(x), theirs(x), [x])
        assert torch.autograd.gradgradcheck(ours, x)

    @EACH_ELEMENTARY
    def test_vmap_over_vector_jacobian_products_of_both_orders(
        self, ours: Unary, theirs: Unary, low: float, high: float
    ) -> None:
        x = torch.linspace(low, high, 6, dtype=torch.float64).reshape(2, 3).requires_grad_()
        y = ours(x)
        (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        expected = torch.autograd.functional.hessian(lambda x: theirs(x).square().sum(), x.detach())

        def first(vector: Tensor) -> Tensor:
            return torch.autograd.grad(y, x, vector.reshape(2, 3), retain_graph=True)[0]

        def second(vector: Tensor) -> Tensor:
            return torch.autograd.grad(gradient, x, vector.reshape(2, 3), retain_graph=True)[0]

        identity = torch.eye(6, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(theirs, x.detach())
        for found, right in ((torch.func.vmap(first), jacobian), (torch.func.vmap(second), expected)):
            torch.testing.assert_close(found(identity).reshape(6, 6), right.reshape(6, 6), rtol=1e-8, atol=1e-10)

    @EACH_ELEMENTARY
    def test_a_tensor_that_is_not_contiguous(self, ours: Unary, theirs: Unary, low: float, high: float) -> None:
        x = torch.linspace(low, high, 24, dtype=torch.float64).reshape(4, 6)
        for part in (x.T, x[:, 1:4], x[0, :1].expand(5)):
            torch.testing.assert_close(ours(part), theirs(part), rtol=1e-14, atol=1e-14)

    def test_digamma_and_its_derivative_equal_torch(self) -> None:
        x = torch.linspace(0.5, 9.0, 50, dtype=torch.float64).requires_grad_()
        torch.testing.assert_close(digamma(x), torch.digamma(x), rtol=1e-12, atol=1e-14)
        assert torch.autograd.gradcheck(digamma, x)

    def test_without_gradients_results_are_equal_bit_for_bit(self) -> None:
        x = torch.linspace(0.1, 5.0, 101).requires_grad_()
        for ours, *_ in ELEMENTARY.values():
            with torch.no_grad():
                plain = ours(x)
            assert not plain.requires_grad
            assert torch.equal(plain, ours(x))
            assert torch.equal(plain, ours(x.detach()))

    def test_extreme_arguments(self) -> None:
        x = torch.tensor([-float("inf"), -1e4, 0.0, 1e4, float("inf"), float("nan")])
        for ours, theirs in ((tanh, torch.tanh), (exp, torch.exp), (sigmoid, torch.sigmoid), (log, torch.log)):
            torch.testing.assert_close(ours(x), theirs(x), equal_nan=True)

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @DTYPES
    def test_activations_equal_torch(self, activation: Activation, dtype: torch.dtype) -> None:
        x = torch.linspace(-3, 3, 101, dtype=dtype)
        torch.testing.assert_close(activate(x, activation), ACTIVATIONS[activation](x))
