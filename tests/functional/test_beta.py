"""The beta distribution compared with torch, SciPy's quantiles and closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import polygamma
from torch import Tensor
from torch.distributions import Beta as TorchBeta
from torch.distributions import Independent, kl_divergence

from pgexp.functional.distributions import Beta

SIZES = (1, 2, 5)
LARGEST = 1 - 2.0**-53  # the largest uniform number


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return 1 + 6 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_torch(parameters: Tensor) -> Independent:
    return Independent(TorchBeta(*parameters.chunk(2, -1)), 1)


@pytest.mark.parametrize("size", SIZES)
class TestAgainstTorch:
    def test_log_probability(self, size: int) -> None:
        parameters = drawn(4, 3, 2 * size)
        action = torch.rand(4, 3, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        torch.testing.assert_close(Beta(size).log_prob(parameters, action), of_torch(parameters).log_prob(action))

    def test_entropy_and_divergence(self, size: int) -> None:
        old, new = drawn(4, 3, 2 * size), drawn(4, 3, 2 * size, seed=1)
        torch.testing.assert_close(Beta(size).entropy(old), of_torch(old).entropy())
        torch.testing.assert_close(Beta(size).kl(old, new), kl_divergence(of_torch(old), of_torch(new)))

    def test_sizes(self, size: int) -> None:
        assert Beta(size).num_parameters == 2 * size
        assert Beta(size).draws == size


def test_the_uniform_distribution_has_entropy_zero() -> None:
    assert Beta(1).entropy(torch.ones(2)).item() == pytest.approx(0, abs=1e-7)
    assert Beta(1).log_prob(torch.ones(2), torch.tensor([0.3])).item() == pytest.approx(0, abs=1e-7)


def test_the_curvature_of_the_divergence_is_fishers_information() -> None:
    a, b = 2.5, 4.0
    parameters = torch.tensor([a, b], dtype=torch.float64)
    curvature = torch.autograd.functional.hessian(lambda x: Beta(1).kl(parameters, x), parameters)
    both = polygamma(1, a + b)
    expected = [[polygamma(1, a) - both, -both], [-both, polygamma(1, b) - both]]
    np.testing.assert_allclose(curvature.numpy(), expected, rtol=1e-8)  # torch has the trigamma function to 9 digits


@pytest.mark.parametrize("large", [100.0, 1e4, 1e6])
def test_large_parameters_keep_single_precision(large: float) -> None:
    parameters, x = torch.tensor([large, 2 * large]), torch.tensor([0.3334])
    expected = stats.beta(large, 2 * large)
    given = float(x.double())
    assert Beta(1).log_prob(parameters, x).item() == pytest.approx(expected.logpdf(given), rel=1e-5, abs=1e-4)
    assert Beta(1).entropy(parameters).item() == pytest.approx(expected.entropy(), rel=1e-5)
    assert Beta(1).kl(parameters, parameters).item() == 0


class TestMode:
    def test_it_is_the_maximum_of_the_density(self) -> None:
        x = np.linspace(0, 1, 100_001)
        for a, b in ((2.0, 5.0), (1.5, 1.2), (30.0, 4.0)):
            expected = x[stats.beta.pdf(x, a, b).argmax()]
            assert Beta(1).mode(torch.tensor([a, b])).item() == pytest.approx(expected, abs=2e-5)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_it_is_the_middle_of_a_uniform_density_and_never_0_or_1(self, dtype: torch.dtype) -> None:
        ends = torch.tensor([[1.0, 1.0], [1.0, 2.0], [2.0, 1.0]], dtype=dtype)
        middle, low, high = Beta(1).mode(ends)[:, 0].tolist()
        assert middle == 0.5
        assert 0 < low < 1e-6
        assert 1 - 1e-6 < high < 1


class TestSample:
    def test_it_is_the_quantile_of_the_uniform_number(self) -> None:
        uniforms = torch.tensor([[0.0, 0.1], [0.25, 0.5], [0.75, LARGEST]], dtype=torch.float64)
        for seed in range(3):
            parameters = drawn(3, 4, seed=seed)
            alpha, beta = parameters.numpy()[:, :2], parameters.numpy()[:, 2:]
            # A uniform number is the lower end of a cell 2^-53 wide; the quantile is taken at the cell's middle.
            expected = stats.beta.ppf(np.minimum(uniforms.numpy() + 2.0**-54, LARGEST), alpha, beta)
            np.testing.assert_allclose(Beta(2).sample(parameters, uniforms).numpy(), expected, rtol=1e-9)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_it_is_strictly_inside(self, dtype: torch.dtype) -> None:
        extremes = torch.tensor([1.0, 1.000001, 3.0, 1e4, 1e8], dtype=dtype)
        parameters = torch.cartesian_prod(extremes, extremes)
        for uniform in (0.0, 0.5, LARGEST):
            sampled = Beta(1).sample(parameters, torch.full((len(parameters), 1), uniform, dtype=torch.float64))
            assert sampled.dtype == dtype
            assert sampled.min() > 0
            assert sampled.max() < 1

    def test_samples_have_the_density(self) -> None:
        # Kolmogorov-Smirnov test of each component at an error rate of 1e-8.
        parameters, draws = torch.tensor([1.0, 3.0, 1.0, 1.5]), 20_000
        uniforms = torch.from_numpy(np.random.default_rng(0).random((draws, 2)))
        sampled = Beta(2).sample(parameters.expand(draws, 4), uniforms).numpy()
        assert stats.kstest(sampled[:, 0], stats.beta(1.0, 1.0).cdf).pvalue > 1e-8
        assert stats.kstest(sampled[:, 1], stats.beta(3.0, 1.5).cdf).pvalue > 1e-8

    def test_it_needs_no_gradient(self) -> None:
        parameters = torch.tensor([2.0, 2.0], requires_grad=True)
        assert not Beta(1).sample(parameters, torch.tensor([0.5], dtype=torch.float64)).requires_grad
