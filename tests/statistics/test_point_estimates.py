"""Point estimates and standard errors against hand calculation, SciPy and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import trim_mean

from pgexp.statistics.point_estimates import (
    critical_skewness,
    interquartile_mean,
    iqm_and_error,
    looks_skewed,
    mean_and_error,
    shortfalls,
    skewness,
)


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    # Of eight scores two are trimmed at each end.
    assert interquartile_mean([8, 1, 100, 3, -50, 4, 5, 6]) == (3 + 4 + 5 + 6) / 4


def test_iqm_of_five_scores_drops_one_at_each_end() -> None:
    assert interquartile_mean([500, 480, 0, 490, 500]) == pytest.approx((480 + 490 + 500) / 3)


@pytest.mark.parametrize("scores", [[7], [1, 4], [1, 2, 9]])
def test_iqm_below_four_scores_is_the_mean(scores: list[float]) -> None:
    assert interquartile_mean(scores) == sum(scores) / len(scores)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_iqm_agrees_with_scipy(scores: list[float]) -> None:
    assert math.isclose(interquartile_mean(scores), trim_mean(scores, 0.25), rel_tol=1e-9, abs_tol=1e-6)


def test_iqm_reduces_the_last_axis() -> None:
    scores = np.array([[[1, 2, 3, 4], [4, 4, 4, 4]], [[0, 0, 10, 10], [9, 1, 1, 9]]])
    np.testing.assert_array_equal(interquartile_mean(scores), [[2.5, 4], [5, 5]])


@pytest.mark.parametrize("scores", [[], [1, math.nan], np.empty((3, 0))])
def test_iqm_rejects_no_scores_and_nan(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="without NaN"):
        interquartile_mean(scores)


def test_shortfalls_are_zero_beyond_the_target() -> None:
    assert shortfalls([12, 10, 6, 4], 10).tolist() == [0, 0, 4, 6]


@pytest.mark.parametrize("target", [math.nan, math.inf])
def test_shortfalls_need_a_finite_target(target: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        shortfalls([1.0], target)


def test_iqm_standard_error_by_hand() -> None:
    # Winsorised at two of eight scores: (3, 3, 3, 4, 5, 6, 6, 6), mean 4.5; the squared deviations sum to 3 * 2.25 +
    # .25 + .25 + 3 * 2.25 = 14; h = 4, so that SE^2 = 14 / (4 * 3).
    value, error = iqm_and_error([8, 1, 100, 3, -50, 4, 5, 6])
    assert (value, error) == (4.5, pytest.approx(math.sqrt(14 / 12)))


@pytest.mark.parametrize("n", [4, 5, 7, 10, 23])
def test_iqm_standard_error_is_that_of_yuens_test(n: int) -> None:
    # SciPy's trimmed t test of x against -x has the statistic 2 T / sqrt(2 SE^2).
    sample = 3 + np.random.default_rng(n).lognormal(size=n)
    statistic = stats.ttest_ind(sample, -sample, equal_var=False, trim=0.25).statistic
    value, error = iqm_and_error(sample)
    assert math.sqrt(2) * value / error == pytest.approx(statistic, rel=1e-12)


def test_mean_standard_error_agrees_with_scipy() -> None:
    scores = np.random.default_rng(2).normal(size=(4, 3, 9))
    value, error = mean_and_error(scores)
    np.testing.assert_allclose(value, scores.mean(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(error, stats.sem(scores, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_standard_error_of_equal_scores_is_exactly_zero(n: int) -> None:
    # NumPy's deviation of three times .1 is 1.7e-17.
    assert mean_and_error([0.1] * n)[1] == 0
    assert iqm_and_error([[0.1] * n, [0.7] * n])[1].tolist() == [0, 0]


def test_trimmed_scores_do_not_affect_the_error() -> None:
    assert iqm_and_error([-1e9, 0.1, 0.1, 0.1, 7])[1] == 0


@pytest.mark.parametrize("scores", [1.0, [], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_standard_error_needs_two_finite_scores(scores: object) -> None:
    with pytest.raises(ValueError, match="two or more finite scores"):
        iqm_and_error(scores)


def test_skewness_agrees_with_scipy() -> None:
    scores = np.random.default_rng(1).lognormal(size=(4, 3, 8))
    np.testing.assert_allclose(skewness(scores), stats.skew(scores, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e150])
def test_skewness_does_not_depend_on_the_scale(scale: float) -> None:
    # If one of n scores differs, it is (n - 2) / sqrt(n - 1).
    assert skewness(np.array([0, 0, 0, 0, 1]) * scale) == pytest.approx(3 / 2)


def test_equal_scores_are_not_skewed() -> None:
    assert skewness([3.0] * 4) == 0
    assert not looks_skewed([0.1] * 7)


def test_two_scores_cannot_be_skewed() -> None:
    assert not looks_skewed([0.0, 1e9])


def test_critical_skewness_of_three_scores() -> None:
    # Three normal scores have the skewness cos(3 phi) / sqrt(2), phi uniform; 5 % are beyond cos(.025 pi) / sqrt(2).
    # The density there is .2 per .001, so 10,000 samples estimate it within .0001.
    assert critical_skewness(3) == pytest.approx(math.cos(0.025 * math.pi) / math.sqrt(2), abs=0.0006)


@pytest.mark.parametrize("n", [10, 20, 50, 2000])
def test_looks_skewed_agrees_with_d_agostinos_test(n: int) -> None:
    # His approximation of the normal samples' skewness (SciPy's skewtest, from n = 8 on) is good to a few thousandths,
    # and the simulated 5 % are .05 within six times .0022 (.0069 at n = 2000, of 1,000 samples).
    near = 0.045 if n == 2000 else 0.02
    generator = np.random.default_rng(n)
    for _ in range(80):
        sample = generator.normal(size=n) ** 2 * generator.uniform(0, 0.4) + generator.normal(size=n)
        if abs((p := stats.skewtest(sample).pvalue) - 0.05) > near:
            assert looks_skewed(sample) == (p < 0.05)


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_five_percent_of_normal_samples_look_skewed(n: int) -> None:
    # The critical value's own error adds to that of 10,000 samples: .0022 twice; .018 is six times .0031.
    samples = np.random.default_rng(100 + n).normal(3, 2, size=(10_000, n))
    assert np.mean(np.abs(skewness(samples)) > critical_skewness(n)) == pytest.approx(0.05, abs=0.018)


def test_an_outlier_on_either_side_looks_skewed() -> None:
    sample = [*range(9), 100]
    assert looks_skewed(sample)
    assert looks_skewed([-score for score in sample])
    assert not looks_skewed(range(9))
