"""Differences of two configurations against SciPy, counting by hand and closed forms."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import stdtr

from pgexp.statistics.differences import Difference, cohens_dz, compare_means, hedges_g, probability_of_improvement
from pgexp.statistics.two_sample_tests import paired_t, welch_t


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_unpaired_comparison_is_welchs_test_and_interval(level: float) -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(2, 1, 7), generator.lognormal(size=9)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    ours, interval = compare_means(a, b, level=level), theirs.confidence_interval(level)
    assert ours.p_t == pytest.approx(theirs.pvalue)
    assert (ours.low, ours.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert ours.difference == pytest.approx(a.mean() - b.mean())
    assert (ours.n_a, ours.n_b, ours.paired, ours.level) == (7, 9, False, level)


def test_paired_comparison_is_the_paired_t_test() -> None:
    a, b = np.random.default_rng(5).normal(size=(2, 6))
    ours, theirs = compare_means(a, b, paired=True), stats.ttest_rel(a, b)
    interval = theirs.confidence_interval()
    assert (ours.p, ours.low, ours.high) == pytest.approx((theirs.pvalue, interval.low, interval.high))
    assert (ours.test, ours.n_a, ours.n_b, ours.paired) == ("paired t test", 6, 6, True)
    assert ours.effect_size == pytest.approx(theirs.statistic / math.sqrt(6))


def test_t_test_is_reported_at_equal_n() -> None:
    a, b = [1.0, 2, 3, 4], [3.0, 4, 5, 7]
    equal, pairs = compare_means(a, b), compare_means([1.0, 2, 3, 4, 5], [2.0, 4, 5, 5, 7], paired=True)
    for ours, name in ((equal, "Welch's t test"), (pairs, "paired t test")):
        assert ours.p_permutation is not None
        assert ours.p_t is not None
        assert ours.p_t < ours.p_permutation
        assert (ours.p, ours.test) == (ours.p_t, name)


def test_larger_p_is_reported_at_unequal_n() -> None:
    generator = np.random.default_rng(7)
    names = set()
    for _ in range(20):
        ours = compare_means(generator.lognormal(size=6), generator.lognormal(size=9))
        assert ours.p_t is not None
        assert ours.p_permutation is not None
        assert ours.p == max(ours.p_t, ours.p_permutation)
        assert ("t test" in ours.test) == (ours.p_t >= ours.p_permutation)
        names.add(ours.test)
    assert names == {"Welch's t test", "permutation test, exact"}


def test_relabellings_are_drawn_if_there_are_many() -> None:
    generator = np.random.default_rng(1)
    tests = {compare_means(generator.lognormal(size=30), generator.lognormal(size=9)).test for _ in range(10)}
    assert tests == {"Welch's t test", "permutation test, drawn"}


def test_five_pairs_by_hand() -> None:
    # The differences 1, 2, 3, 4, 5 have mean 3 and deviation sqrt(2.5). 2 of 32 signs give all differences one sign.
    ours = compare_means([2, 4, 6, 8, 10], [1, 2, 3, 4, 5], paired=True)
    assert (ours.difference, ours.p_permutation, ours.least_p) == (3, 0.0625, 0.0625)
    assert ours.effect_size == pytest.approx(3 / math.sqrt(2.5))
    assert "5 pairs gives no p below .0625" in ours.caveat
    # Of the 25 pairs of (2, 4, ..., 10) and (1, ..., 5), a wins 1 + 3 + 5 + 5 + 5 and ties in two.
    assert ours.improvement == pytest.approx((19 + 2 / 2) / 25)


def test_improvement_is_that_of_different_seeds() -> None:
    # a wins 2 of 4 pairs and ties in one.
    ours = compare_means([1, 3], [1, 2])
    assert ours.improvement == pytest.approx((2 + 1 / 2) / 4)
    assert ours.improvement_low is not None
    assert ours.improvement_high is not None
    assert 0 < ours.improvement_low < 0.625 < ours.improvement_high < 1


@pytest.mark.parametrize(
    ("n_a", "n_b", "fragments"),
    [
        (3, 3, ["3 seeds each gives no p below .1"]),
        (4, 4, []),
        (2, 3, ["2 and 3 seeds gives no p below .1", "too narrow"]),
        (5, 4, ["too narrow"]),
    ],
)
def test_caveats_of_a_comparison(n_a: int, n_b: int, fragments: list[str]) -> None:
    generator = np.random.default_rng(1)
    caveat = compare_means(generator.normal(size=n_a), generator.normal(size=n_b)).caveat
    assert all(fragment in caveat for fragment in fragments)
    assert bool(caveat) == bool(fragments)


def test_exchanging_the_configurations_changes_signs() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.normal(size=5), generator.lognormal(size=7)
    one, other = compare_means(a, b), compare_means(b, a)
    assert one.low is not None
    assert one.effect_size is not None
    assert one.improvement is not None
    assert (other.difference, other.high, other.effect_size) == pytest.approx(
        (-one.difference, -one.low, -one.effect_size)
    )
    assert (other.p, other.p_t, other.improvement) == pytest.approx((one.p, one.p_t, 1 - one.improvement))


def test_equal_scores_have_p_of_one() -> None:
    for paired in (False, True):
        ours = compare_means([500] * 5, [500] * 5, paired)
        assert (ours.difference, ours.p, ours.p_permutation, ours.effect_size, ours.improvement) == (0, 1, 1, None, 0.5)
        assert (ours.p_t, ours.low, ours.high) == (None, None, None)
        assert ours.caveat.startswith("Nothing varies between the seeds")


def test_constant_scores_use_the_permutation_test() -> None:
    # Only two of 252 splits separate five 500s from five 490s.
    ours = compare_means([500] * 5, [490] * 5)
    assert (ours.difference, ours.p, ours.test) == (10, pytest.approx(2 / 252), "permutation test, exact")


def test_one_configuration_may_be_constant() -> None:
    # Welch's t is then Student's of the other: mean 3, deviation sqrt(2.5), 4 degrees of freedom.
    assert compare_means([1, 2, 3, 4, 5], [0] * 5).p == pytest.approx(2 * float(stdtr(4, -3 / math.sqrt(2.5 / 5))))


@pytest.mark.parametrize(("a", "b", "paired"), [([3], [1], True), ([3], [1, 2], False), ([1, 5], [1], False)])
def test_one_seed_has_a_difference_without_tests(a: list[float], b: list[float], paired: bool) -> None:
    ours = compare_means(a, b, paired)
    assert ours.difference == np.mean(a) - np.mean(b)
    assert "One seed" in ours.caveat
    assert ours == Difference(
        difference=ours.difference,
        n_a=len(a),
        n_b=len(b),
        paired=paired,
        level=0.95,
        caveat=ours.caveat,
    )


@pytest.mark.parametrize("paired", [False, True])
def test_two_seeds_suffice_for_a_test(paired: bool) -> None:
    ours = compare_means([1, 2], [3, 5], paired)
    assert (ours.n_a, ours.least_p) == (2, pytest.approx(0.5 if paired else 2 / 6))
    assert None not in (ours.p, ours.low, ours.high, ours.effect_size)


@pytest.mark.parametrize(("a", "b"), [([1, math.nan], [1, 2]), ([1, 2], []), ([1, 2], [1, math.inf]), ([[1, 2]], [1])])
def test_bad_scores_pairs_and_levels_are_rejected(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        compare_means(a, b)
    with pytest.raises(ValueError, match="finite numbers"):
        probability_of_improvement(a, b)
    with pytest.raises(ValueError, match="pairs need equally many"):
        compare_means([1, 2], [1, 2, 3], paired=True)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        compare_means([1, 2], [1, 2], level=95)


# The size of the t tests at equal n is at most .05 for any scores. Over 20,000 simulated pairs the share has a
# deviation of .0015; within 5.5 times that, 2 in 10^8 correct implementations fail, times 24 cases.
@pytest.mark.parametrize("n", [3, 5, 10, 20])
@pytest.mark.parametrize("scores", ["normal", "lognormal", "collapsing"])
def test_size_of_the_t_tests(n: int, scores: str) -> None:
    generator = np.random.default_rng(n)
    samples = generator.normal(size=(2, 20_000, n))
    if scores == "lognormal":
        samples = np.exp(samples)
    if scores == "collapsing":
        samples -= 20 * (generator.random(samples.shape) < 0.05)
    for statistic in (welch_t(*samples), paired_t(*samples)):
        rejected = (statistic.p <= 0.05).mean()
        assert 0 < rejected <= 0.05 + 5.5 * 0.00154


def test_hedges_g_by_hand() -> None:
    # The variances of (1, 2, 3) and (2, 4, 6) are 1 and 4, pooled 2.5; J(4) = Gamma(2) / (sqrt(2) Gamma(3/2)), where
    # Gamma(3/2) = sqrt(pi) / 2.
    expected = -2 / math.sqrt(2.5) / (math.sqrt(2) * math.sqrt(math.pi) / 2)
    assert hedges_g(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])) == pytest.approx(expected)


def test_hedges_factor_at_unequal_n() -> None:
    # J(10) = .9227 (Hedges 1981, table 1); the deviations are 1 and 1, and the means differ by 1.
    a, b = np.array([-1.0, 0, 1]), np.array([-1.0, 1, -1, 1, -1, 1, -1, 1, 0]) - 1
    assert hedges_g(a, b) == pytest.approx(0.9227, abs=5e-5)


def test_hedges_g_is_unbiased_on_normal_scores() -> None:
    # At an effect of 1 and n = 5, g has a deviation of .7; the mean of 2,000 has a deviation of .016; five times
    # that: 6 in 10^7. Without J it would be 1.107.
    a, b = np.random.default_rng(3).normal(size=(2, 2000, 5))
    values = [hedges_g(x + 1, y) for x, y in zip(a, b, strict=True)]
    assert np.mean([value for value in values if value is not None]) == pytest.approx(1, abs=0.08)


def test_cohens_dz_by_hand() -> None:
    # The differences are 1, 2, 3, with mean 2 and deviation 1.
    assert cohens_dz(np.array([2.0, 4, 6]), np.array([1.0, 2, 3])) == pytest.approx(2)


def test_no_effect_size_without_variation() -> None:
    assert hedges_g(np.array([1.0, 1]), np.array([2.0, 2])) is None
    assert hedges_g(np.array([1.0]), np.array([2.0, 3])) is None
    assert cohens_dz(np.array([1.0, 2]), np.array([2.0, 3])) is None
    assert cohens_dz(np.array([1.0]), np.array([2.0])) is None


def variance(p: float, n: int) -> float:
    """Return Hanley and McNeil's variance (1982) of the probability for two exponential samples of n."""
    both_above, both_below = p / (2 - p), 2 * p**2 / (1 + p)
    return (p * (1 - p) + (n - 1) * (both_above - p**2) + (n - 1) * (both_below - p**2)) / n**2


def test_improvement_is_the_mann_whitney_statistic() -> None:
    generator = np.random.default_rng(2)
    x, y = generator.integers(0, 6, size=9), generator.integers(0, 5, size=7)
    expected = stats.mannwhitneyu(x, y).statistic / (9 * 7)
    assert probability_of_improvement(x, y).probability == pytest.approx(expected, rel=1e-12)


def test_improvement_counts_ties_half() -> None:
    # Of the six pairs of (1, 2, 2) and (2, 0) three have the larger first and two tie.
    assert probability_of_improvement([1, 2, 2], [2, 0]).probability == pytest.approx(4 / 6)


@pytest.mark.parametrize(("x", "y"), [([3, 5, 6, 8], [1, 2, 4, 7]), ([5, 6, 7, 8], [1, 2, 3, 4])])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_improvement_interval_solves_newcombes_equation(x: list[float], y: list[float], level: float) -> None:
    z = stats.norm.ppf((1 + level) / 2)
    share, low, high = probability_of_improvement(x, y, level)
    assert share - low == pytest.approx(z * math.sqrt(variance(low, 4)), rel=1e-9)
    assert high - share == pytest.approx(z * math.sqrt(variance(high, 4)), rel=1e-9)


def test_exchanging_samples_mirrors_the_improvement() -> None:
    x, y = [3, 5, 6, 8, 9], [1, 2, 4, 7]
    share, low, high = probability_of_improvement(x, y)
    assert probability_of_improvement(y, x) == pytest.approx((1 - share, 1 - high, 1 - low))


def test_improvement_interval_at_probability_one() -> None:
    share, low, high = probability_of_improvement(range(10, 15), range(5))
    assert (share, high) == (1, 1)
    assert low == pytest.approx(0.64, abs=0.01)


@pytest.mark.parametrize(("n", "shift"), [(5, 1.0), (10, 2.0), (20, 0.0)])
def test_improvement_interval_coverage(n: int, shift: float) -> None:
    # The coverage is .94 to .97 by analysis/coverage. Over 3,000 pairs of samples it has a deviation of .004; .92 is
    # five times that below .94: 1 in 10^6.
    generator, truth = np.random.default_rng(n), stats.norm.cdf(shift / math.sqrt(2))
    pairs = generator.normal(size=(3000, 2, n)) + np.array([[shift], [0]])
    found = [probability_of_improvement(x, y) for x, y in pairs]
    assert np.mean([low <= truth <= high for _, low, high in found]) == pytest.approx(0.955, abs=0.035)
