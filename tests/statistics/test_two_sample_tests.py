"""Tests of two samples against SciPy, counting by hand and their size."""

import math
from math import comb

import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.point_estimates import FloatArray
from pgexp.statistics.two_sample_tests import (
    DRAWS,
    TStatistic,
    holm,
    paired_t,
    permutation_test,
    sign_flip_test,
    welch_t,
)


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 7), (5, 5), (9, 20)])
def test_welch_t_agrees_with_scipy(n_a: int, n_b: int) -> None:
    generator = np.random.default_rng(n_a)
    a, b = generator.lognormal(size=n_a), generator.normal(size=n_b)
    ours, theirs = welch_t(a, b), stats.ttest_ind(a, b, equal_var=False)
    assert (float(ours.t), float(ours.p)) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_paired_t_agrees_with_scipy(n: int) -> None:
    generator = np.random.default_rng(n)
    a, b = generator.lognormal(size=n), generator.normal(size=n)
    ours, theirs = paired_t(a, b), stats.ttest_rel(a, b)
    assert (float(ours.t), float(ours.p)) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


@pytest.mark.parametrize("statistic", [welch_t, paired_t])
def test_t_statistics_reduce_the_last_axis(statistic: type[TStatistic]) -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 3, 4, 6))
    together = statistic(a, b)
    assert together.t.shape == (3, 4)
    assert together.t[2, 1] == pytest.approx(float(statistic(a[2, 1], b[2, 1]).t))


@pytest.mark.parametrize("statistic", [welch_t, paired_t])
@pytest.mark.parametrize(("a", "b", "t"), [(0.1, 0.3, -np.inf), (0.3, 0.1, np.inf), (0.1, 0.1, 0)])
def test_t_without_variation_is_infinite_or_zero(statistic: type[TStatistic], a: float, b: float, t: float) -> None:
    # Three times .1 is .30000000000000004: a rounding error is not variation.
    assert float(statistic(np.full(3, a), np.full(3, b)).t) == t


def test_rounding_errors_are_not_variation() -> None:
    a = np.array([0.1, 0.2, 0.3, 0.7])
    assert float(paired_t(a + 0.1, a).t) == np.inf


def test_degrees_of_freedom_if_one_sample_is_constant() -> None:
    # Welch's degrees of freedom with d_b = 0 are n_a - 1.
    assert float(welch_t(np.array([1.0, 2, 4]), np.array([3.0, 3, 3, 3])).degrees) == 2


def welch(a: FloatArray, b: FloatArray, axis: int) -> FloatArray:
    return np.abs(stats.ttest_ind(a, b, equal_var=False, axis=axis).statistic)


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 3), (2, 5), (5, 4)])
def test_permutation_test_agrees_with_scipy(n_a: int, n_b: int) -> None:
    generator = np.random.default_rng(4)
    a, b = generator.normal(1.0, 1.0, n_a), generator.lognormal(size=n_b)
    theirs = stats.permutation_test((a, b), welch, vectorized=True, alternative="greater", n_resamples=np.inf)
    assert permutation_test(a, b).exact
    assert float(permutation_test(a, b).p) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_sign_flip_test_agrees_with_scipy(n: int) -> None:
    a, b = np.random.default_rng(n).normal(size=(2, n))
    theirs = stats.permutation_test(
        (a, b), lambda x, y: x.mean() - y.mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert float(sign_flip_test(a, b).p) == pytest.approx(theirs.pvalue)


def test_least_p_of_five_pairs_is_a_sixteenth() -> None:
    # All five differences are positive: of the 32 signs only all + and all - are as extreme.
    test = sign_flip_test(np.array([5.0, 6, 7, 9, 8]), np.array([1.0, 1, 2, 3, 5]))
    assert (float(test.p), test.least_p, test.exact) == (2 / 32, 2 / 32, True)


# The observed split of distant samples is the most extreme, at equal n together with its mirror image.
@pytest.mark.parametrize(("n_a", "n_b", "least"), [(4, 4, 2 / 70), (5, 5, 2 / 252), (3, 5, 1 / 56), (8, 5, 1 / 1287)])
def test_least_p_of_the_permutation_test(n_a: int, n_b: int, least: float) -> None:
    generator = np.random.default_rng(1)
    widths = generator.choice([0.1, 1, 10], size=(2, 30, 1))
    a, b = (width * generator.lognormal(size=(30, n)) for width, n in zip(widths, (n_a, n_b), strict=True))
    for test in (permutation_test(a + 1000, b), permutation_test(b, a + 1000)):
        assert (test.p.min(), test.least_p) == (pytest.approx(least), pytest.approx(least))


@pytest.mark.parametrize("test", [permutation_test, sign_flip_test])
def test_p_of_equal_scores_is_one(test: type) -> None:
    assert float(test(np.full(6, 0.1), np.full(6, 0.1)).p) == 1


def test_permutation_test_without_variation() -> None:
    assert float(permutation_test(np.full(5, 500.0), np.full(5, 490.0)).p) == pytest.approx(2 / comb(10, 5))


def test_drawn_relabellings_approximate_the_t_test() -> None:
    # A share p of `DRAWS` has a deviation of at most .005; six times that: 1 in 5 x 10^8.
    a, b = np.random.default_rng(2).normal(0.2, 1, size=(2, 40))
    b = b - 0.4
    drawn, normal = permutation_test(a, b), stats.ttest_ind(a, b, equal_var=False).pvalue
    assert (drawn.exact, drawn.least_p) == (False, 1 / (DRAWS + 1))
    assert float(drawn.p) == pytest.approx(normal, abs=0.03 + 0.005)  # at n = 40 the t test is within .005 of it
    assert float(sign_flip_test(a, b).p) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.03 + 0.005)


def test_least_p_of_drawn_relabellings() -> None:
    a = np.arange(30.0)
    assert float(permutation_test(a + 1000, a, draws=199).p) == permutation_test(a, a, draws=199).least_p == 1 / 200
    assert float(sign_flip_test(a + 1000, a + np.sin(a), draws=199).p) == 1 / 200


# For every distribution the size at .05 is the share of relabellings that the tests reject: 2 of the 70 splits of 4 and
# 4, 6 of 126 (4 and 5), 2 of 56 (3 and 5), and 2 of 64 flips (6 pairs).
@pytest.mark.parametrize("collapsed", [False, True])
@pytest.mark.parametrize(
    ("test", "n_a", "n_b", "size"),
    [
        (permutation_test, 4, 4, 2 / 70),
        (permutation_test, 4, 5, 6 / 126),
        (permutation_test, 3, 5, 2 / 56),
        (sign_flip_test, 6, 6, 2 / 64),
    ],
)
def test_size_of_the_permutation_tests(test: type, n_a: int, n_b: int, size: float, collapsed: bool) -> None:
    # Of 3,000 pairs; within 5.5 standard deviations, 4 in 10^8, and there are 8 such cases.
    pairs, generator = 3000, np.random.default_rng(8)
    a, b = (generator.lognormal(size=(pairs, n)) for n in (n_a, n_b))
    if collapsed:
        a, b = (sample - 50 * (generator.random(sample.shape) < 0.05) for sample in (a, b))
    rejected = (test(a, b).p <= 0.05 + 1e-12).mean()
    assert rejected == pytest.approx(size, abs=5.5 * np.sqrt(size * (1 - size) / pairs))


def test_holm_by_hand() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1 is .02, .03, .06, .04; the last is raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_at_most_one_and_keeps_one_test() -> None:
    assert holm([0.4, 0.9]).tolist() == [0.8, 0.9]
    assert holm([0.6, 0.9]).tolist() == [1, 1]
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []


def test_holm_of_ties() -> None:
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])


def test_holm_ignores_nan() -> None:
    assert holm([math.nan, 0.02, math.nan, 0.03]) == pytest.approx([math.nan, 0.04, math.nan, 0.04], nan_ok=True)


@pytest.mark.parametrize("p", [[-0.1], [1.1, 0.5], 0.5, np.zeros((2, 2))])
def test_holm_rejects_bad_probabilities(p: list[float]) -> None:
    with pytest.raises(ValueError, match="vector of probabilities"):
        holm(p)
