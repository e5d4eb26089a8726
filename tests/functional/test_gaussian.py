"""The Gaussian and the squashed Gaussian compared with torch, SciPy's integrals and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from torch import Tensor
from torch.distributions import Independent, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

from pgexp.functional.distributions import Gaussian, SquashedGaussian

SIZES = (1, 2, 5)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def joined(mean: float, std: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor([mean, math.log(std)], dtype=dtype)


def probabilities(*z: float) -> Tensor:
    """Return the uniform numbers whose standard normal quantiles are z."""
    return torch.from_numpy(stats.norm.cdf(z))


def normal(parameters: Tensor) -> Independent:
    mean, log_std = parameters.chunk(2, -1)
    return Independent(Normal(mean, log_std.exp()), 1)


@pytest.mark.parametrize("size", SIZES)
class TestGaussian:
    def test_against_torch(self, size: int) -> None:
        old, new, action = drawn(4, 3, 2 * size), drawn(4, 3, 2 * size, seed=1), drawn(4, 3, size, seed=2)
        torch.testing.assert_close(Gaussian(size).log_prob(old, action), normal(old).log_prob(action))
        torch.testing.assert_close(Gaussian(size).entropy(old), normal(old).entropy())
        torch.testing.assert_close(Gaussian(size).kl(old, new), kl_divergence(normal(old), normal(new)))

    def test_sizes(self, size: int) -> None:
        assert Gaussian(size).num_parameters == SquashedGaussian(size).num_parameters == 2 * size
        assert Gaussian(size).draws == SquashedGaussian(size).draws == size


def test_the_parameters_are_means_then_logarithms_of_deviations() -> None:
    parameters = torch.tensor([1.0, -2.0, math.log(3.0), math.log(0.5)])
    assert Gaussian(2).sample(parameters, probabilities(1.0, -2.0)).tolist() == pytest.approx([4.0, -3.0])
    assert Gaussian(2).mode(parameters).tolist() == [1.0, -2.0]
    # By hand: the density at the mean is 1 / ((2 pi) (3) (1/2)).
    log_prob = Gaussian(2).log_prob(parameters, torch.tensor([1.0, -2.0])).item()
    assert log_prob == pytest.approx(-math.log(2 * math.pi * 1.5))


def test_a_tiny_divergence_keeps_single_precision() -> None:
    # (exp(2 d) - 1 - 2 d) / 2 = d^2 + 2 d^3 / 3 + ...; the rounding of 1 + 2 d is larger than that.
    d = 1e-4
    kl = Gaussian(1).kl(torch.tensor([0.0, d]), torch.tensor([0.0, 0.0])).item()
    assert kl == pytest.approx(d**2 + 2 * d**3 / 3, rel=1e-2)


def test_samples_are_normal() -> None:
    # Kolmogorov-Smirnov test of each component at an error rate of 1e-8.
    parameters, draws = torch.tensor([1.0, -2.0, math.log(0.3), math.log(4.0)]), 20_000
    uniforms = torch.from_numpy(np.random.default_rng(0).random((draws, 2)))
    sampled = Gaussian(2).sample(parameters.expand(draws, 4), uniforms).numpy()
    assert stats.kstest(sampled[:, 0], stats.norm(1.0, 0.3).cdf).pvalue > 1e-8
    assert stats.kstest(sampled[:, 1], stats.norm(-2.0, 4.0).cdf).pvalue > 1e-8
    assert abs(np.corrcoef(sampled.T)[0, 1]) < 6 / draws**0.5  # fails by chance with 2e-9


class TestSquashed:
    @pytest.mark.parametrize("size", SIZES)
    def test_log_probability_against_torch(self, size: int) -> None:
        parameters, u = drawn(4, 3, 2 * size), drawn(4, 3, size, seed=2)
        squashed = TransformedDistribution(normal(parameters), [TanhTransform()])
        torch.testing.assert_close(SquashedGaussian(size).log_prob(parameters, u), squashed.log_prob(u.tanh()))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("u", [-20.0, -3.0, 0.0, 3.0, 20.0])
    def test_the_log_density_is_right_if_tanh_rounds_to_one(self, u: float, dtype: torch.dtype) -> None:
        # log(1 - tanh(u)^2) = 2 log 2 - 2 |u| - 2 log(1 + exp(-2 |u|))
        slope = 2 * math.log(2) - 2 * abs(u) - 2 * math.log1p(math.exp(-2 * abs(u)))
        expected = stats.norm(1.0, 2.0).logpdf(u) - slope
        log_prob = SquashedGaussian(1).log_prob(joined(1.0, 2.0, dtype), torch.tensor([u], dtype=dtype))
        assert log_prob.item() == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("std", [0.1, 0.5, 1.0, 2.0])
    @pytest.mark.parametrize("mean", [0.0, -0.7])
    def test_the_density_of_the_action_integrates_to_one(self, mean: float, std: float) -> None:
        def density(a: float) -> float:
            u = torch.tensor([math.atanh(a)], dtype=torch.float64)
            return SquashedGaussian(1).log_prob(joined(mean, std), u).exp().item()

        assert quad(density, -1, 1, limit=200)[0] == pytest.approx(1, abs=1e-6)

    @pytest.mark.parametrize(
        ("std", "error"), [(0.001, 1e-7), (0.3, 1e-7), (1.0, 1e-7), (3.0, 1e-7), (5.0, 1e-7), (10.0, 1e-4)]
    )
    @pytest.mark.parametrize("mean", [0.0, 0.37, -2.0, 15.0])
    def test_entropy_against_an_adaptive_integral(self, mean: float, std: float, error: float) -> None:
        def log_slope(u: float) -> float:
            return 2 * math.log(2) - 2 * abs(u) - 2 * math.log1p(math.exp(-2 * abs(u)))

        pieces = sorted({-12.0, 12.0, min(max(-mean / std, -12.0), 12.0)})
        expected = stats.norm(mean, std).entropy() + sum(
            quad(lambda z: stats.norm.pdf(z) * log_slope(mean + std * z), a, b, epsabs=1e-12, limit=300)[0]
            for a, b in pairwise(pieces)
        )
        assert SquashedGaussian(1).entropy(joined(mean, std)).item() == pytest.approx(expected, rel=0, abs=error)
        single = SquashedGaussian(1).entropy(joined(mean, std, torch.float32)).item()
        assert single == pytest.approx(expected, rel=1e-5, abs=max(error, 1e-5))

    def test_entropy_is_at_most_that_of_the_uniform_distribution(self) -> None:
        stds = torch.linspace(0.05, 5, 400, dtype=torch.float64)
        parameters = torch.stack([torch.zeros_like(stds), stds.log()], -1)
        entropy = SquashedGaussian(1).entropy(parameters)
        assert math.log(2) - 0.02 < entropy.max() < math.log(2)
        assert stds[entropy.argmax()] == pytest.approx(0.87, abs=0.02)

    def test_the_divergence_is_that_of_the_gaussians(self) -> None:
        old, new = drawn(6, 4), drawn(6, 4, seed=1)
        torch.testing.assert_close(SquashedGaussian(2).kl(old, new), kl_divergence(normal(old), normal(new)))

    def test_the_sample_and_the_mode_are_not_squashed(self) -> None:
        parameters = torch.tensor([1.0, math.log(2.0)])
        assert SquashedGaussian(1).sample(parameters, probabilities(3.0)).tolist() == pytest.approx([7.0])
        assert SquashedGaussian(1).mode(parameters).tolist() == [1.0]

    def test_squashed_samples_have_the_squashed_density(self) -> None:
        # Kolmogorov-Smirnov test at an error rate of 1e-8; the cumulative density is P(u <= atanh a).
        draws = 20_000
        uniforms = torch.from_numpy(np.random.default_rng(0).random((draws, 1)))
        sampled = SquashedGaussian(1).sample(joined(0.3, 0.8).expand(draws, 2), uniforms).tanh()[:, 0].numpy()
        assert stats.kstest(sampled, lambda a: stats.norm(0.3, 0.8).cdf(np.arctanh(a))).pvalue > 1e-8
