"""Losses, norms of gradients, and clipping."""

import numpy as np
import pytest
import torch

from pgexp.functional.surrogate import clip_gradients, gradient_norm, policy_gradient_loss, squared_error


def test_the_loss_is_minus_the_weighted_sum_over_the_divisor() -> None:
    loss = policy_gradient_loss(torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([3.0, -1.0, 0.5]), 2)
    assert loss.item() == -(-3.0 + 2.0 - 2.0) / 2


def test_the_gradient_of_the_loss_is_minus_the_sum_of_weighted_scores() -> None:
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
