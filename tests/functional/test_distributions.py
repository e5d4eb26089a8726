"""The categorical distribution compared with torch, finite differences and its definition."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from pgexp.functional.distributions import Categorical

LARGEST = 1 - 2.0**-53  # the largest uniform number


def logits(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


@pytest.mark.parametrize("count", [1, 2, 3, 8])
class TestAgainstTorch:
    def test_log_probability(self, count: int) -> None:
        outputs = logits(5, 4, count)
        for action in range(count):
            actions = torch.full((5, 4), action)
            expected = torch.distributions.Categorical(logits=outputs).log_prob(actions)
            torch.testing.assert_close(Categorical(count).log_prob(outputs, actions), expected)

    def test_entropy(self, count: int) -> None:
        outputs = logits(5, 4, count)
        expected = torch.distributions.Categorical(logits=outputs).entropy()
        torch.testing.assert_close(Categorical(count).entropy(outputs), expected)

    def test_divergence(self, count: int) -> None:
        old, new = (torch.distributions.Categorical(logits=logits(5, 4, count, seed=seed)) for seed in (1, 2))
        expected = torch.distributions.kl_divergence(old, new)
        torch.testing.assert_close(Categorical(count).kl(old.logits, new.logits), expected)

    def test_gradients_by_finite_differences_in_double_precision(self, count: int) -> None:
        outputs, other = logits(3, count).requires_grad_(), logits(3, count, seed=1).requires_grad_()
        distribution, actions = Categorical(count), torch.tensor([0, count - 1, count // 2])
        assert torch.autograd.gradcheck(lambda z: distribution.log_prob(z, actions), outputs)
        assert torch.autograd.gradcheck(distribution.entropy, outputs)
        assert torch.autograd.gradcheck(distribution.kl, (outputs, other))

    def test_sizes(self, count: int) -> None:
        assert Categorical(count).num_parameters == count
        assert Categorical(count).draws == 1


def test_entropy_of_equal_logits_and_of_certainty() -> None:
    entropy = Categorical(4).entropy(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 200.0, 0.0]]))
    assert entropy.tolist() == pytest.approx([np.log(4), 0.0])


def test_the_divergence_weights_by_the_old_probabilities() -> None:
    # KL((1/2, 1/2) || (1/4, 3/4)) = log 2 / 2 + log(2/3) / 2
    kl = Categorical(2).kl(of(0.5, 0.5), of(0.25, 0.75)).item()
    assert kl == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert kl != pytest.approx(Categorical(2).kl(of(0.25, 0.75), of(0.5, 0.5)).item(), rel=1e-3)


def test_a_divergence_is_positive_and_0_between_equals() -> None:
    old, new = logits(1_000, 5, seed=1), logits(1_000, 5, seed=2)
    assert Categorical(5).kl(old, new).min() > 0
    assert Categorical(5).kl(old, old).abs().max() == 0
    torch.testing.assert_close(Categorical(5).kl(old, old + 7.0), torch.zeros(1_000, dtype=torch.float64))


def test_the_mode_is_the_first_of_the_largest_logits() -> None:
    outputs = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 3.0], [0.0, 1.0, 1.0]])
    assert Categorical(3).mode(outputs).tolist() == [1, 0, 1]


class TestSample:
    """The action is the inverse of the cumulative probability."""

    @pytest.mark.parametrize(
        ("uniform", "action"),
        [(0.0, 0), (0.25 - 1e-9, 0), (0.25 + 1e-9, 1), (0.75 - 1e-9, 1), (0.75 + 1e-9, 2), (0.999, 2), (LARGEST, 2)],
    )
    def test_samples_invert_the_cumulative_probability(self, uniform: float, action: int) -> None:
        uniforms = torch.tensor([uniform], dtype=torch.float64)
        assert Categorical(3).sample(of(0.25, 0.5, 0.25), uniforms).item() == action

    def test_a_uniform_number_at_a_boundary_gives_the_next_action(self) -> None:
        uniforms = torch.tensor([0.0, 0.25 - 2.0**-54, 0.25, 0.5, 0.75, LARGEST], dtype=torch.float64)
        sampled = Categorical(4).sample(torch.zeros(6, 4), uniforms.unsqueeze(-1))
        assert sampled.tolist() == [0, 0, 1, 2, 3, 3]

    def test_each_row_has_its_own_uniform_number(self) -> None:
        outputs = torch.stack([of(0.25, 0.5, 0.25), of(0.5, 0.25, 0.25)]).expand(2, 2, 3)
        uniforms = torch.tensor([[0.3, 0.3], [0.8, 0.6]], dtype=torch.float64).unsqueeze(-1)
        assert Categorical(3).sample(outputs, uniforms).tolist() == [[1, 0], [2, 1]]

    def test_a_certain_action_is_always_sampled(self) -> None:
        uniforms = torch.tensor([[0.0], [0.5], [LARGEST]], dtype=torch.float64)
        for action in range(3):
            outputs = torch.full((3, 3), -1e9).index_fill(1, torch.tensor([action]), 0.0)
            assert Categorical(3).sample(outputs, uniforms).tolist() == [action] * 3

    @pytest.mark.parametrize("count", [3, 5, 18])
    def test_an_action_of_probability_0_is_never_sampled(self, count: int) -> None:
        outputs = logits(5_000, count, dtype=torch.float32)
        outputs[:, [0, -1]] = -1e9
        assert torch.softmax(outputs.double(), -1)[:, [0, -1]].max() == 0
        for uniform in (0.0, LARGEST):
            sampled = Categorical(count).sample(outputs, torch.full((5_000, 1), uniform, dtype=torch.float64))
            assert sampled.min() > 0
            assert sampled.max() < count - 1

    def test_frequencies_of_actions_equal_their_probabilities(self) -> None:
        # Chi-square test with 3 degrees of freedom, at an error rate of 1e-8.
        probabilities, draws = np.array([0.1, 0.2, 0.3, 0.4]), 100_000
        uniforms = torch.from_numpy(np.random.default_rng(0).random((draws, 1)))
        sampled = Categorical(4).sample(of(*probabilities).expand(draws, 4), uniforms)
        counts = np.bincount(sampled.numpy(), minlength=4)
        statistic = ((counts - draws * probabilities) ** 2 / (draws * probabilities)).sum()
        assert statistic < chi2.isf(1e-8, df=3)
