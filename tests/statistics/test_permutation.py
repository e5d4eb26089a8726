"""Permutation tests, held to SciPy's, to counting by hand and to their size."""

from math import comb

import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.permutation import DRAWN, sign_flip_test, split_test


def welch(a: FloatArray, b: FloatArray, axis: int) -> FloatArray:
    return np.abs(stats.ttest_ind(a, b, equal_var=False, axis=axis).statistic)


def yuen(a: FloatArray, b: FloatArray, axis: int) -> FloatArray:
    return np.abs(stats.ttest_ind(a, b, equal_var=False, axis=axis, trim=0.25).statistic)


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 3), (2, 5), (5, 4)])
@pytest.mark.parametrize("trim", [0, 0.25])
def test_all_splits_are_counted_as_scipy_counts_them(n_a: int, n_b: int, trim: float) -> None:
    generator = np.random.default_rng(4)
    a, b = generator.normal(1.0, 1.0, n_a), generator.lognormal(size=n_b)
    statistic = yuen if trim else welch
    theirs = stats.permutation_test((a, b), statistic, vectorized=True, alternative="greater", n_resamples=np.inf)
    assert split_test(a, b, trim).exact
    assert float(split_test(a, b, trim).p) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_all_flips_are_counted_as_scipy_counts_them(n: int) -> None:
    a, b = np.random.default_rng(n).normal(size=(2, n))
    theirs = stats.permutation_test(
        (a, b), lambda x, y: x.mean() - y.mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert float(sign_flip_test(a, b).p) == pytest.approx(theirs.pvalue)


def test_five_pairs_give_no_p_below_a_sixteenth() -> None:
    # All five differences positive: of the 32 signs only all + and all - are as far from 0.
    test = sign_flip_test(np.array([5.0, 6, 7, 9, 8]), np.array([1.0, 1, 2, 3, 5]))
    assert (float(test.p), test.least_p, test.exact) == (2 / 32, 2 / 32, True)


# Of samples apart the observed split may be the farthest from 0, at equal n with its mirror image (at unequal n another
# one may be farther, by how the samples vary). Trimmed by k, the splits that exchange what is trimmed of the higher
# sample below and of the lower one above are as far: 2 splits of 4 and 4 or of 5 and 5, 1 of 3 and 5, 3 of 8 and 5.
@pytest.mark.parametrize(
    ("n_a", "n_b", "means", "iqms"),
    [(4, 4, 2 / 70, 4 / 70), (5, 5, 2 / 252, 4 / 252), (3, 5, 1 / 56, 1 / 56), (8, 5, 1 / 1287, 3 / 1287)],
)
def test_the_least_p_is_that_of_samples_far_apart(n_a: int, n_b: int, means: float, iqms: float) -> None:
    generator = np.random.default_rng(1)
    widths = generator.choice([0.1, 1, 10], size=(2, 30, 1))
    a, b = (width * generator.lognormal(size=(30, n)) for width, n in zip(widths, (n_a, n_b), strict=True))
    for trim, least in ((0.0, means), (0.25, iqms)):
        for test in (split_test(a + 1000, b, trim), split_test(b, a + 1000, trim)):
            assert (test.p.min(), test.least_p) == (pytest.approx(least), pytest.approx(least))


@pytest.mark.parametrize("trim", [0, 0.25])
@pytest.mark.parametrize("test", [split_test, sign_flip_test])
def test_equal_scores_differ_in_no_relabelling(test: type, trim: float) -> None:
    assert float(test(np.full(6, 0.1), np.full(6, 0.1), trim).p) == 1


def test_two_configurations_without_variation_are_as_far_apart_as_can_be() -> None:
    assert float(split_test(np.full(5, 500.0), np.full(5, 490.0)).p) == pytest.approx(2 / comb(10, 5))


def test_drawn_relabellings_come_near_to_all() -> None:
    # A share p of `DRAWN` strays by .005 at most, one standard deviation; six of them are 1 in 5 x 10^8.
    a, b = np.random.default_rng(2).normal(0.2, 1, size=(2, 40))
    b = b - 0.4
    drawn, normal = split_test(a, b), stats.ttest_ind(a, b, equal_var=False).pvalue
    assert (drawn.exact, drawn.least_p) == (False, 1 / (DRAWN + 1))
    assert float(drawn.p) == pytest.approx(normal, abs=0.03 + 0.005)  # at n = 40 the t test is within .005 of it
    assert float(sign_flip_test(a, b).p) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.03 + 0.005)


def test_the_least_p_of_drawn_relabellings_counts_the_observed_one_in() -> None:
    a = np.arange(30.0)
    assert float(split_test(a + 1000, a, drawn=199).p) == split_test(a, a, drawn=199).least_p == 1 / 200
    assert float(sign_flip_test(a + 1000, a + np.sin(a), drawn=199).p) == 1 / 200


# At .05 the tests of equal configurations reject exactly as often as there are relabellings to reject, whatever the
# distribution: 2 of the 70 splits of 4 and 4, 6 of 126 (4 and 5), 2 of 56 (3 and 5), and 2 of 64 flips (6 pairs).
@pytest.mark.parametrize("collapsed", [False, True])
@pytest.mark.parametrize(
    ("test", "n_a", "n_b", "size"),
    [
        (split_test, 4, 4, 2 / 70),
        (split_test, 4, 5, 6 / 126),
        (split_test, 3, 5, 2 / 56),
        (sign_flip_test, 6, 6, 2 / 64),
    ],
)
def test_the_size_is_the_attainable_one(test: type, n_a: int, n_b: int, size: float, collapsed: bool) -> None:
    # Of 3,000 pairs; within 5.5 standard deviations, 4 in 10^8, and there are 8 such cases.
    pairs, generator = 3000, np.random.default_rng(8)
    a, b = (generator.lognormal(size=(pairs, n)) for n in (n_a, n_b))
    if collapsed:
        a, b = (sample - 50 * (generator.random(sample.shape) < 0.05) for sample in (a, b))
    rejected = (test(a, b).p <= 0.05 + 1e-12).mean()
    assert rejected == pytest.approx(size, abs=5.5 * np.sqrt(size * (1 - size) / pairs))
