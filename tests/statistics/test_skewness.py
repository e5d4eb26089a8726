import math

import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.skewness import critical_skewness, looks_skewed, skewness


def test_skewness_is_scipy_s() -> None:
    scores = np.random.default_rng(1).lognormal(size=(4, 3, 8))
    np.testing.assert_allclose(skewness(scores), stats.skew(scores, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e150])
def test_skewness_has_no_units(scale: float) -> None:
    # Of n scores of which one differs it is (n - 2) / sqrt(n - 1).
    assert skewness(np.array([0, 0, 0, 0, 1]) * scale) == pytest.approx(3 / 2)


def test_equal_scores_are_not_skewed() -> None:
    assert skewness([3.0] * 4) == 0
    assert not looks_skewed([0.1] * 7)


def test_two_scores_cannot_be_skewed() -> None:
    assert not looks_skewed([0.0, 1e9])


def test_the_critical_value_of_three_scores_is_exact() -> None:
    # Three normal scores have the skewness cos(3 phi) / sqrt(2), phi uniform; 5 % lie beyond cos(.025 pi) / sqrt(2).
    # The density there is .2 per .001, so that 10,000 samples place it within .0001.
    assert critical_skewness(3) == pytest.approx(math.cos(0.025 * math.pi) / math.sqrt(2), abs=0.0006)


@pytest.mark.parametrize("n", [10, 20, 50, 2000])
def test_agrees_with_d_agostino_s_test(n: int) -> None:
    # His approximation of the normal samples' skewness (SciPy's skewtest, from n = 8 on) is good to a few thousandths,
    # and the simulated 5 % are .05 within six times .0022 (.0069 at n = 2000, of 1,000 samples).
    near = 0.045 if n == 2000 else 0.02
    generator = np.random.default_rng(n)
    for _ in range(80):
        sample = generator.normal(size=n) ** 2 * generator.uniform(0, 0.4) + generator.normal(size=n)
        if abs((p := stats.skewtest(sample).pvalue) - 0.05) > near:
            assert looks_skewed(sample) == (p < 0.05)


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_of_few_normal_scores_5_percent_look_skewed(n: int) -> None:
    # The critical value's own error adds to that of 10,000 samples: .0022 twice; .018 is six times .0031.
    samples = np.random.default_rng(100 + n).normal(3, 2, size=(10_000, n))
    assert np.mean(np.abs(skewness(samples)) > critical_skewness(n)) == pytest.approx(0.05, abs=0.018)


def test_an_outlier_on_either_side_is_seen() -> None:
    sample = [*range(9), 100]
    assert looks_skewed(sample)
    assert looks_skewed([-score for score in sample])
    assert not looks_skewed(range(9))
