"""The categorical distribution against torch's own, against finite differences, and against its definition."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from pgexp.functional.distributions.categorical import Categorical

LARGEST = float(np.nextafter(np.float32(1), np.float32(0)))  # the largest noise there is


def logits(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float32).log()


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

    def test_what_it_takes(self, count: int) -> None:
        assert Categorical(count).parameters == count
        assert Categorical(count).noise_size == 1


def test_entropy_is_largest_for_equal_logits_and_nothing_for_certainty() -> None:
    entropy = Categorical(4).entropy(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 200.0, 0.0]]))
    assert entropy.tolist() == pytest.approx([np.log(4), 0.0])


def test_the_divergence_of_old_from_new_is_the_sum_over_old() -> None:
    # KL((1/2, 1/2) || (1/4, 3/4)) = log 2 / 2 + log(2/3) / 2
    kl = Categorical(2).kl(of(0.5, 0.5), of(0.25, 0.75)).item()
    assert kl == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert kl != pytest.approx(Categorical(2).kl(of(0.25, 0.75), of(0.5, 0.5)).item(), rel=1e-3)


def test_a_divergence_is_positive_and_nothing_between_equals() -> None:
    old, new = logits(1_000, 5, seed=1), logits(1_000, 5, seed=2)
    assert Categorical(5).kl(old, new).min() > 0
    assert Categorical(5).kl(old, old).abs().max() == 0
    torch.testing.assert_close(Categorical(5).kl(old, old + 7.0), torch.zeros(1_000, dtype=torch.float64))


def test_the_mode_is_the_largest_logit_and_of_equals_the_first() -> None:
    outputs = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 3.0], [0.0, 1.0, 1.0]])
    assert Categorical(3).mode(outputs).tolist() == [1, 0, 1]


class TestSample:
    """The action is the inverse of the cumulative probability at the noise."""

    @pytest.mark.parametrize(
        ("noise", "action"),
        [(0.0, 0), (0.249, 0), (0.25, 1), (0.749, 1), (0.75, 2), (0.999, 2), (LARGEST, 2)],
    )
    def test_the_action_is_where_the_cumulative_probability_passes_the_noise(self, noise: float, action: int) -> None:
        assert Categorical(3).sample(of(0.25, 0.5, 0.25), torch.tensor([noise])).item() == action

    def test_each_row_has_its_own_noise(self) -> None:
        outputs = torch.stack([of(0.25, 0.5, 0.25), of(0.5, 0.25, 0.25)]).expand(2, 2, 3)
        noise = torch.tensor([[0.3, 0.3], [0.8, 0.6]]).unsqueeze(-1)
        assert Categorical(3).sample(outputs, noise).tolist() == [[1, 0], [2, 1]]

    def test_a_certain_action_is_always_taken(self) -> None:
        noise = torch.tensor([[0.0], [0.5], [LARGEST]])
        for action in range(3):
            outputs = torch.full((3, 3), -200.0).index_fill(1, torch.tensor([action]), 0.0)
            assert Categorical(3).sample(outputs, noise).tolist() == [action] * 3

    @pytest.mark.parametrize("count", [3, 5, 18])
    def test_an_action_of_no_probability_is_never_taken(self, count: int) -> None:
        outputs = logits(5_000, count, dtype=torch.float32)
        outputs[:, [0, -1]] = -200.0
        assert torch.softmax(outputs, -1)[:, [0, -1]].max() == 0
        for noise in (0.0, LARGEST):
            sampled = Categorical(count).sample(outputs, torch.full((5_000, 1), noise))
            assert sampled.min() > 0
            assert sampled.max() < count - 1

    def test_actions_come_as_often_as_they_are_probable(self) -> None:
        # Pearson's chi-square on 3 degrees of freedom, at an error rate of 1e-8.
        probabilities, draws = np.array([0.1, 0.2, 0.3, 0.4]), 100_000
        noise = torch.from_numpy(Categorical(4).noise(np.random.default_rng(0), draws))
        sampled = Categorical(4).sample(of(*probabilities).expand(draws, 4), noise)
        counts = np.bincount(sampled.numpy(), minlength=4)
        statistic = ((counts - draws * probabilities) ** 2 / (draws * probabilities)).sum()
        assert statistic < chi2.isf(1e-8, df=3)

    def test_noise_is_uniform_below_one_and_of_its_generator(self) -> None:
        noise = Categorical(4).noise(np.random.default_rng(5), 1_000)
        assert noise.shape == (1_000, 1)
        assert noise.dtype == np.float32
        assert noise.min() >= 0
        assert noise.max() < 1
        assert noise.ravel().tolist() == np.random.default_rng(5).random(1_000, dtype=np.float32).tolist()
