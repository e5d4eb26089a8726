"""Properties of all distributions: expectations, derivatives, independent components, precision.

Expectations are sums over all actions or quadratures under SciPy's densities, independent of the code under test.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, softmax
from torch import Tensor

from pgexp.functional.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Distribution,
    Gaussian,
    MultiCategorical,
    SquashedGaussian,
)

Floats = NDArray[np.float64]
Rule = tuple[Floats, Floats]
"""Values of a component and their weights in an expectation."""


def normal_rules(parameters: Floats) -> list[Rule]:
    x, w = np.polynomial.hermite.hermgauss(64)
    return [(m + np.exp(s) * 2**0.5 * x, w / np.pi**0.5) for m, s in zip(*np.split(parameters, 2), strict=True)]


def beta_rules(parameters: Floats) -> list[Rule]:
    x, w = np.polynomial.legendre.leggauss(100)
    x = 0.5 + 0.5 * x
    return [(x, 0.5 * w * stats.beta.pdf(x, a, b)) for a, b in zip(*np.split(parameters, 2), strict=True)]


def binary_rules(parameters: Floats) -> list[Rule]:
    return [(np.array([0, 1]), np.array([1 - p, p])) for p in expit(parameters)]


def choice_rules(*counts: int) -> Callable[[Floats], list[Rule]]:
    ends = np.cumsum(counts)[:-1]
    return lambda logits: [(np.arange(len(each)), softmax(each)) for each in np.split(logits, ends)]


class Case(NamedTuple):
    """A family, one part per component, the rules of its expectations, and the range of its parameters."""

    family: Distribution
    parts: Sequence[tuple[Distribution, list[int]]]
    rules: Callable[[Floats], list[Rule]]
    low: float
    high: float
    vector: bool = True

    def parameters(self, *shape: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand((*shape, self.family.num_parameters), generator=generator, dtype=torch.float64)
        return self.low + (self.high - self.low) * drawn

    def expectation(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions, [K] or [K, D], and their weights, [K]."""
        rules = self.rules(parameters.numpy())
        values = np.array([*itertools.product(*(values for values, _ in rules))])
        weights = np.array([np.prod(each) for each in itertools.product(*(weights for _, weights in rules))])
        return torch.from_numpy(values if self.vector else values[:, 0]), torch.from_numpy(weights)


def halves(kind: Callable[[int], Distribution]) -> list[tuple[Distribution, list[int]]]:
    return [(kind(1), [0, 2]), (kind(1), [1, 3])]


CASES = {
    "categorical": Case(Categorical(4), [(Categorical(4), [0, 1, 2, 3])], choice_rules(4), -2.0, 2.0, vector=False),
    "multi_categorical": Case(
        MultiCategorical((2, 4, 3)),
        [
            (MultiCategorical((2,)), [0, 1]),
            (MultiCategorical((4,)), [2, 3, 4, 5]),
            (MultiCategorical((3,)), [6, 7, 8]),
        ],
        choice_rules(2, 4, 3),
        -2.0,
        2.0,
    ),
    "bernoulli": Case(Bernoulli(3), [(Bernoulli(1), [d]) for d in range(3)], binary_rules, -2.0, 2.0),
    "gaussian": Case(Gaussian(2), halves(Gaussian), normal_rules, -1.0, 0.0),
    "squashed_gaussian": Case(SquashedGaussian(2), halves(SquashedGaussian), normal_rules, -1.0, 0.0),
    "beta": Case(Beta(2), halves(Beta), beta_rules, 2.0, 6.0),
}
COUNTABLE = ("categorical", "multi_categorical", "bernoulli")
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
vectors = {name: case for name, case in CASES.items() if case.vector}
each_vector = pytest.mark.parametrize("case", vectors.values(), ids=vectors.keys())


def uniforms(draws: int, *shape: int, seed: int = 0) -> Tensor:
    """Return uniform numbers [*shape, draws] in float64."""
    return torch.from_numpy(np.random.default_rng(seed).random((*shape, draws)))


def actions(case: Case, parameters: Tensor) -> Tensor:
    """Return sampled actions."""
    return case.family.sample(parameters, uniforms(case.family.draws, *parameters.shape[:-1]))


@each_case
class TestExpectations:
    def test_entropy_is_the_mean_of_minus_the_log_probability(self, case: Case) -> None:
        for seed in range(3):
            parameters = case.parameters(seed=seed)
            action, weight = case.expectation(parameters)
            expected = -(weight * case.family.log_prob(parameters.expand(len(weight), -1), action)).sum()
            torch.testing.assert_close(case.family.entropy(parameters), expected, rtol=1e-8, atol=1e-10)

    def test_divergence_is_the_mean_of_the_log_ratio_under_the_old(self, case: Case) -> None:
        for seed in range(3):
            old, new = case.parameters(seed=seed), case.parameters(seed=seed + 10)
            action, weight = case.expectation(old)
            log_old, log_new = (case.family.log_prob(x.expand(len(weight), -1), action) for x in (old, new))
            kl = case.family.kl(old, new)
            torch.testing.assert_close(kl, (weight * (log_old - log_new)).sum(), rtol=1e-8, atol=1e-10)
            assert kl != pytest.approx(case.family.kl(new, old).item(), rel=1e-3)

    def test_the_score_has_mean_0_and_the_fisher_matrix_as_covariance(self, case: Case) -> None:
        parameters = case.parameters()
        action, weight = case.expectation(parameters)
        each = parameters.repeat(len(weight), 1).requires_grad_()
        (score,) = torch.autograd.grad(case.family.log_prob(each, action).sum(), each)
        torch.testing.assert_close(weight @ score, torch.zeros_like(parameters), rtol=0, atol=1e-10)
        curvature = torch.autograd.functional.hessian(lambda x: case.family.kl(parameters, x), parameters)
        torch.testing.assert_close(curvature, score.T @ (weight.unsqueeze(-1) * score), rtol=1e-8, atol=1e-10)

    def test_the_divergence_and_its_gradient_are_0_between_equals(self, case: Case) -> None:
        old, new = case.parameters(50), case.parameters(50).requires_grad_()
        kl = case.family.kl(old, new)
        kl.sum().backward()
        assert kl.abs().max() < 1e-13
        assert new.grad is not None
        assert new.grad.abs().max() < 1e-13
        assert case.family.kl(old, case.parameters(50, seed=1)).min() > 0


@each_case
class TestDerivatives:
    def test_gradients_by_finite_differences(self, case: Case) -> None:
        parameters = case.parameters(3).requires_grad_()
        action = actions(case, parameters.detach())
        assert torch.autograd.gradcheck(lambda x: case.family.log_prob(x, action), parameters)
        assert torch.autograd.gradcheck(case.family.entropy, parameters)
        assert torch.autograd.gradcheck(case.family.kl, (parameters, case.parameters(3, seed=1).requires_grad_()))

    def test_the_divergence_can_be_differentiated_twice(self, case: Case) -> None:
        old, new = case.parameters(2), case.parameters(2, seed=1).requires_grad_()
        assert torch.autograd.gradgradcheck(lambda x: case.family.kl(old, x), new)


@each_vector
class TestComponents:
    """Components are independent: log-probability, entropy and divergence are sums over components, not means."""

    def test_log_probability_entropy_and_divergence_are_sums(self, case: Case) -> None:
        old, new = case.parameters(5), case.parameters(5, seed=1)
        action = actions(case, old)
        parts = [(part, old[:, own], new[:, own], action[:, d : d + 1]) for d, (part, own) in enumerate(case.parts)]
        log_prob = sum(part.log_prob(before, own) for part, before, _, own in parts)
        torch.testing.assert_close(case.family.log_prob(old, action), log_prob)
        torch.testing.assert_close(case.family.entropy(old), sum(part.entropy(before) for part, before, *_ in parts))
        kl = sum(part.kl(before, after) for part, before, after, _ in parts)
        torch.testing.assert_close(case.family.kl(old, new), kl)

    def test_samples_and_modes_are_each_components_own(self, case: Case) -> None:
        parameters = case.parameters(5)
        own_draws = uniforms(case.family.draws, 5, seed=1)
        sampled, mode = case.family.sample(parameters, own_draws), case.family.mode(parameters)
        for d, (part, own) in enumerate(case.parts):
            assert torch.equal(part.sample(parameters[:, own], own_draws[:, d : d + 1]), sampled[:, d : d + 1])
            assert torch.equal(part.mode(parameters[:, own]), mode[:, d : d + 1])

    def test_a_vector_of_one_component_keeps_its_axis(self, case: Case) -> None:
        part, own = case.parts[0]
        parameters = case.parameters(4, 3)[..., own]
        action = part.sample(parameters, torch.full((4, 3, 1), 0.5, dtype=torch.float64))
        assert action.shape == part.mode(parameters).shape == (4, 3, 1)
        assert part.log_prob(parameters, action).shape == (4, 3)
        assert part.entropy(parameters).shape == part.kl(parameters, parameters).shape == (4, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_precision_of_results_and_actions(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    old, new = case.parameters(6).to(dtype), case.parameters(6, seed=1).to(dtype)
    action = actions(case, old)
    whole = name in COUNTABLE
    assert action.dtype == case.family.mode(old).dtype == (torch.int64 if whole else dtype)
    results = case.family.log_prob(old, action), case.family.entropy(old), case.family.kl(old, new)
    exact = action if whole else action.double()
    expected = (
        case.family.log_prob(old.double(), exact),
        case.family.entropy(old.double()),
        case.family.kl(old.double(), new.double()),
    )
    for found, right in zip(results, expected, strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), right, rtol=1e-5, atol=1e-5)


@each_case
def test_each_component_takes_one_uniform_number(case: Case) -> None:
    assert case.family.draws == len(case.parts)


EXTREMES = {
    "categorical": [-1e4, 0.0, 1e4],
    "multi_categorical": [-1e4, 0.0, 1e4],
    "bernoulli": [-1e4, -20.0, 0.0, 20.0, 1e4],
    "gaussian": [-20.0, -6.9, 0.0, 2.3, 20.0],
    "squashed_gaussian": [-20.0, -6.9, 0.0, 2.3, 20.0],
    "beta": [1.0, 1.0001, 2.0, 1e4],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_numbers_and_gradients_are_finite_for_extreme_parameters(name: str, dtype: torch.dtype) -> None:
    family = CASES[name].family
    choice = np.random.default_rng(0).choice(EXTREMES[name], size=(2, 400, family.num_parameters))
    old, new = torch.from_numpy(choice).to(dtype).requires_grad_().unbind()
    with torch.no_grad():
        sampled, mode = family.sample(old, uniforms(family.draws, 400, seed=1)), family.mode(old)
    for action in (sampled, mode):
        assert action.isfinite().all()
        results = family.log_prob(old, action), family.log_prob(new, action), family.entropy(old), family.kl(old, new)
        for result in results:
            assert result.isfinite().all()
            gradients = torch.autograd.grad(result.sum(), (old, new), retain_graph=True, allow_unused=True)
            assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)
