"""Multi-categorical and Bernoulli distributions compared with torch and their definitions."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Independent, kl_divergence

from pgexp.functional.distributions import Bernoulli, MultiCategorical

LARGEST = 1 - 2.0**-53  # the largest uniform number


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("counts", [(3,), (2, 4), (5, 1, 3)])
class TestMultiCategorical:
    def test_log_probability_of_every_action_against_torch(self, counts: tuple[int, ...]) -> None:
        outputs = logits(sum(counts))
        parts = [TorchCategorical(logits=part) for part in outputs.split(list(counts))]
        for choices in itertools.product(*map(range, counts)):
            expected = sum(part.log_prob(torch.tensor(a)) for part, a in zip(parts, choices, strict=True))
            found = MultiCategorical(counts).log_prob(outputs, torch.tensor(choices))
            torch.testing.assert_close(found, expected)

    def test_entropy_and_divergence_against_torch(self, counts: tuple[int, ...]) -> None:
        old, new = logits(4, 2, sum(counts)), logits(4, 2, sum(counts), seed=1)
        before, after = (
            [TorchCategorical(logits=part) for part in outputs.split(list(counts), -1)] for outputs in (old, new)
        )
        torch.testing.assert_close(MultiCategorical(counts).entropy(old), sum(part.entropy() for part in before))
        expected = sum(kl_divergence(p, q) for p, q in zip(before, after, strict=True))
        torch.testing.assert_close(MultiCategorical(counts).kl(old, new), expected)

    def test_the_mode_is_the_largest_logit_of_each_component(self, counts: tuple[int, ...]) -> None:
        outputs = logits(20, sum(counts))
        expected = [[int(part.argmax()) for part in row.split(list(counts))] for row in outputs]
        assert MultiCategorical(counts).mode(outputs).tolist() == expected

    def test_sizes(self, counts: tuple[int, ...]) -> None:
        assert MultiCategorical(counts).num_parameters == sum(counts)
        assert MultiCategorical(counts).draws == len(counts)


def test_each_component_has_its_own_uniform_number() -> None:
    outputs = torch.tensor([0.5, 0.5, 0.25, 0.5, 0.25]).log().expand(3, 5)
    uniforms = torch.tensor([[0.0, 0.8], [0.6, 0.3], [LARGEST, 0.0]], dtype=torch.float64)
    assert MultiCategorical((2, 3)).sample(outputs, uniforms).tolist() == [[0, 2], [1, 1], [1, 0]]


def test_frequencies_of_choices_equal_their_probabilities() -> None:
    # Chi-square test over the 6 joint actions (5 degrees of freedom), at an error rate of 1e-8.
    first, second, draws = np.array([0.3, 0.7]), np.array([0.2, 0.5, 0.3]), 100_000
    outputs = torch.from_numpy(np.log(np.concatenate([first, second]))).expand(draws, 5)
    uniforms = torch.from_numpy(np.random.default_rng(0).random((draws, 2)))
    sampled = MultiCategorical((2, 3)).sample(outputs, uniforms).numpy()
    counts = np.bincount(3 * sampled[:, 0] + sampled[:, 1], minlength=6)
    assert stats.chisquare(counts, draws * np.outer(first, second).ravel()).pvalue > 1e-8


@pytest.mark.parametrize("size", [1, 2, 5])
class TestBernoulli:
    def test_against_torch(self, size: int) -> None:
        old, new = logits(4, 3, size), logits(4, 3, size, seed=1)
        before, after = (Independent(TorchBernoulli(logits=outputs), 1) for outputs in (old, new))
        torch.testing.assert_close(Bernoulli(size).entropy(old), before.entropy())
        torch.testing.assert_close(Bernoulli(size).kl(old, new), kl_divergence(before, after))
        for switches in itertools.product((0, 1), repeat=size):
            action = torch.tensor(switches).expand(4, 3, size)
            torch.testing.assert_close(Bernoulli(size).log_prob(old, action), before.log_prob(action.double()))

    def test_sizes(self, size: int) -> None:
        assert Bernoulli(size).num_parameters == Bernoulli(size).draws == size


def test_a_component_is_1_if_its_uniform_number_is_below_p() -> None:
    outputs = torch.tensor([0.25 / 0.75, 1.0, 0.75 / 0.25]).log().expand(3, 3)
    uniforms = torch.tensor([[0.24, 0.49, 0.74], [0.26, 0.51, 0.76], [0.0, LARGEST, 0.5]], dtype=torch.float64)
    assert Bernoulli(3).sample(outputs, uniforms).tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 1]]
    assert Bernoulli(3).mode(outputs[0]).tolist() == [0, 0, 1]


def test_certain_components_are_always_sampled() -> None:
    for uniform in (0.0, LARGEST):
        uniforms = torch.tensor([uniform, uniform], dtype=torch.float64)
        sampled = Bernoulli(2).sample(torch.tensor([-200.0, 200.0]), uniforms)
        assert sampled.tolist() == [0, 1]


def test_frequencies_of_vectors_are_products_of_probabilities() -> None:
    # Chi-square test over the 4 joint actions (3 degrees of freedom), at an error rate of 1e-8.
    p, q, draws = 0.1, 0.6, 100_000
    outputs = torch.logit(torch.tensor([p, q])).expand(draws, 2)
    sampled = Bernoulli(2).sample(outputs, torch.from_numpy(np.random.default_rng(0).random((draws, 2))))
    counts = np.bincount((2 * sampled[:, 0] + sampled[:, 1]).numpy(), minlength=4)
    expected = np.array([(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q])
    assert stats.chisquare(counts, draws * expected).pvalue > 1e-8
