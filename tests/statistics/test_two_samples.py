"""The t statistics of two samples, held to SciPy's tests and to a published example."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import stdtr

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.two_samples import Studentised, of_independent, of_pairs

# Weights of 17 girls before and after family therapy (Hand et al. 1994, "A handbook of small data sets", anorexia).
BEFORE = [83.8, 83.3, 86.0, 82.5, 86.7, 79.6, 76.9, 94.2, 73.4, 80.5, 81.6, 82.1, 77.6, 83.5, 89.9, 86.0, 87.3]
AFTER = [95.2, 94.3, 91.5, 91.9, 100.3, 76.7, 76.8, 101.6, 94.9, 75.2, 77.8, 95.5, 90.7, 92.5, 93.8, 91.7, 98.0]


def p_value(statistic: Studentised) -> FloatArray:
    return np.asarray(2 * stdtr(statistic.degrees, -np.abs(statistic.t)))


@pytest.mark.parametrize("trim", [0, 0.25])
@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 7), (5, 5), (9, 20)])
def test_independent_samples_are_compared_as_scipy_compares_them(n_a: int, n_b: int, trim: float) -> None:
    generator = np.random.default_rng(n_a)
    a, b = generator.lognormal(size=n_a), generator.normal(size=n_b)
    ours, theirs = of_independent(a, b, trim), stats.ttest_ind(a, b, equal_var=False, trim=trim)
    assert (float(ours.t), float(p_value(ours))) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_pairs_are_compared_as_scipy_compares_them(n: int) -> None:
    generator = np.random.default_rng(n)
    a, b = generator.lognormal(size=n), generator.normal(size=n)
    ours, theirs = of_pairs(a, b), stats.ttest_rel(a, b)
    assert (float(ours.t), float(p_value(ours))) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_trimmed_pairs_are_compared_as_published() -> None:
    # Mair and Wilcox 2020, "Robust statistical methods in R using the WRS2 package", the function yuend, trim .2.
    ours = of_pairs(np.array(BEFORE), np.array(AFTER), 0.2)
    assert float(ours.difference) == pytest.approx(-8.56364, abs=5e-6)
    assert (float(ours.t), float(ours.degrees)) == (pytest.approx(-3.829, abs=5e-4), 10)
    assert float(p_value(ours)) == pytest.approx(0.00332, abs=5e-6)


@pytest.mark.parametrize("trim", [0, 0.25])
@pytest.mark.parametrize("statistic", [of_independent, of_pairs])
def test_samples_are_compared_along_the_last_axis(statistic: type[Studentised], trim: float) -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 3, 4, 6))
    together = statistic(a, b, trim)
    assert together.t.shape == (3, 4)
    assert together.t[2, 1] == pytest.approx(float(statistic(a[2, 1], b[2, 1], trim).t))


@pytest.mark.parametrize("statistic", [of_independent, of_pairs])
@pytest.mark.parametrize(("a", "b", "t"), [(0.1, 0.3, -np.inf), (0.3, 0.1, np.inf), (0.1, 0.1, 0)])
def test_without_variation_t_is_infinite_or_nothing(statistic: type[Studentised], a: float, b: float, t: float) -> None:
    # Three times .1 sum up to .30000000000000004: what rounding makes must not pass for variation.
    assert float(statistic(np.full(3, a), np.full(3, b), 0).t) == t


def test_pairs_that_all_differ_alike_but_for_rounding_have_no_variation() -> None:
    a = np.array([0.1, 0.2, 0.3, 0.7])
    assert float(of_pairs(a + 0.1, a).t) == np.inf


def test_a_sample_without_variation_counts_the_degrees_of_the_other() -> None:
    # Welch's degrees of freedom with d_b = 0 are n_a - 1.
    assert float(of_independent(np.array([1.0, 2, 4]), np.array([3.0, 3, 3, 3])).degrees) == 2
