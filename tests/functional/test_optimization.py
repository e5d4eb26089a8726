"""Policy-gradient loss, gradient norms, conjugate gradient, and optimizer steps equal to torch's."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.functional.optimization import (
    clip_gradients,
    conjugate_gradient,
    gradient_norm,
    policy_gradient_loss,
    squared_error,
    step,
)


def test_the_loss_is_minus_the_weighted_sum_over_the_divisor() -> None:
    loss = policy_gradient_loss(torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([3.0, -1.0, 0.5]), 2)
    assert loss.item() == -(-3.0 + 2.0 - 2.0) / 2


def test_the_gradient_of_the_loss_is_minus_the_weighted_sum() -> None:
    # The score of a softmax, d log p_a / d logits, is onehot(a) - p.
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.0, -0.5]], dtype=torch.float64, requires_grad=True)
    actions, advantage = [2, 0], [3.0, -1.0]
    log_prob = torch.log_softmax(logits, -1)[[0, 1], actions]
    policy_gradient_loss(log_prob, torch.tensor(advantage, dtype=torch.float64), 4).backward()
    powers = np.exp([[0.0, 1.0, 2.0], [0.5, 0.0, -0.5]])
    scores = np.eye(3)[actions] - powers / powers.sum(1, keepdims=True)
    expected = -np.array(advantage)[:, None] * scores / 4
    np.testing.assert_allclose(logits.grad, expected, rtol=1e-14)


def test_the_squared_error_is_a_mean_without_the_half() -> None:
    prediction = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    error = squared_error(prediction, torch.tensor([1.0, 0.0, 6.0, 4.0]))
    error.backward()
    assert error.item() == (0 + 4 + 9 + 0) / 4
    assert prediction.grad.tolist() == [0.0, 2 * 2 / 4, 2 * -3 / 4, 0.0]


@pytest.mark.parametrize("shape", [(2, 2), ()])
def test_ranks_are_asserted(shape: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError):
        policy_gradient_loss(torch.ones(shape), torch.ones(shape), 1)
    with pytest.raises(AssertionError):
        squared_error(torch.ones(shape), torch.ones(shape))


def test_the_norm_is_of_all_gradients_as_one_vector() -> None:
    assert gradient_norm([torch.tensor([[3.0, 0.0]]), torch.tensor([4.0]), torch.tensor(12.0)]) == 13.0


def test_norm_and_clipping_equal_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 3), (3,), (3, 1))]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    ours = [parameter.grad.clone() for parameter in parameters]
    norm = gradient_norm(ours)
    clip_gradients(ours, norm, 0.5)
    theirs = torch.nn.utils.clip_grad_norm_(parameters, 0.5)
    assert norm == pytest.approx(theirs.item(), rel=1e-12)
    for our, parameter in zip(ours, parameters, strict=True):
        torch.testing.assert_close(our, parameter.grad, rtol=1e-5, atol=0)  # torch divides by the norm + 1e-6


def test_clipping_keeps_the_direction() -> None:
    gradients = [torch.tensor([30.0, 0.3]), torch.tensor([-40.0])]
    before = torch.cat([gradient.clone() for gradient in gradients])
    clip_gradients(gradients, gradient_norm(gradients), 1.0)
    after = torch.cat(gradients)
    assert after.norm().item() == pytest.approx(1.0)
    torch.testing.assert_close(after / after.norm(), before / before.norm())
    assert after[1].item() == pytest.approx(0.3 / 50, rel=1e-3)  # a small element shrinks with the large ones


def test_a_gradient_within_the_norm_is_not_changed() -> None:
    gradients = [torch.tensor([3.0, 4.0])]
    clip_gradients(gradients, 5.0, 5.0)
    assert gradients[0].tolist() == [3.0, 4.0]


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


OPTIMIZERS: tuple[tuple[type[torch.optim.Optimizer], dict[str, Any]], ...] = (
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.Adam, {"amsgrad": True}),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (torch.optim.RMSprop, {"centered": True}),
    (torch.optim.NAdam, {}),
    (torch.optim.Rprop, {}),
)


def trained(kind: type[torch.optim.Optimizer], arguments: dict[str, Any], ours: bool) -> torch.Tensor:
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))
    optimizer = kind([parameter], lr=0.01, **arguments)  # type: ignore[call-arg]
    for _ in range(5):
        parameter.grad = (3 * parameter - 1).detach().pow(3)
        step(optimizer) if ours else optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize(("kind", "arguments"), OPTIMIZERS)
def test_a_step_is_torchs_step(kind: type[torch.optim.Optimizer], arguments: dict[str, Any]) -> None:
    expected = trained(kind, arguments, ours=False)
    torch.testing.assert_close(trained(kind, arguments, ours=True), expected, rtol=1e-12, atol=1e-15)


class Halving(torch.optim.SGD):
    """A user's optimizer, whose step is wrapped by one of their own."""

    @staticmethod
    def _halved(function: Any) -> Any:
        def wrapper(self: "Halving") -> None:
            for group in self.param_groups:
                for tensor in group["params"]:
                    tensor.grad = tensor.grad / 2
            function(self)

        wrapper.__wrapped__ = function  # type: ignore[attr-defined]
        return wrapper

    step = _halved(torch.optim.SGD.step)


def test_a_users_wrapper_of_a_step_is_called() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = Halving([parameter], lr=1.0)
    parameter.grad = torch.ones(1)
    step(optimizer)
    assert parameter.item() == -0.5


def test_fused_steps_do_not_load_what_compiles_graphs() -> None:
    program = """
import sys, torch
from pgexp.functional.optimization import prevent_dynamo_import, step
prevent_dynamo_import()
parameter = torch.nn.Parameter(torch.zeros(2))
for kind in (torch.optim.Adam, torch.optim.SGD):
    optimizer = kind([parameter], lr=0.1, fused=True)
    parameter.grad = torch.ones(2)
    step(optimizer)
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
