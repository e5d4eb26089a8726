import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgexp.statistics.estimates import interquartile_mean
from pgexp.statistics.intervals import (
    FloatArray,
    Interval,
    bootstrap_interval,
    order_statistic_interval,
    t_interval,
)
from tests.tiers import tiered


def mean(samples: FloatArray) -> FloatArray:
    return np.asarray(samples.mean(axis=-1))


def test_three_scores_by_enumeration() -> None:
    # Of the 27 resamples of (0, 1, 10) the means are, from below, 0 once and 1/3 three times, and from above 10
    # once and 7 three times: 1/27 < .1 < 4/27, so an 80 % interval reaches from 1/3 to 7. The share of 10,000
    # draws at either mean strays by .0036 at most (one standard deviation), 13 of which lie between 4/27 and .1:
    # a correct implementation fails for fewer than 1 in 10^30 seeds.
    means = sorted(sum(sample) / 3 for sample in product((0, 1, 10), repeat=3))
    assert (means[:4], means[-4:]) == ([0, 1 / 3, 1 / 3, 1 / 3], [7, 7, 7, 10])

    assert bootstrap_interval([0, 1, 10], mean, level=0.8) == pytest.approx((1 / 3, 7))


def test_three_scores_at_95_percent_reach_from_end_to_end() -> None:
    # The smallest mean has the weight 1/27 > .025, and so has the largest: 6 standard deviations, 1 in 10^9 seeds.
    assert bootstrap_interval([5, -2, 1], mean) == (-2, 5)


def test_agrees_with_scipy() -> None:
    # Each end of an interval has a Monte Carlo error of sqrt(.025 * .975 / 10,000) / density at 1.96 = .027
    # standard errors of the mean; two differ by .038, and five times that has an error rate of 1 in 10^6.
    sample = np.random.default_rng(3).normal(size=40)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
    ours = bootstrap_interval(sample, mean)
    assert ours is not None
    assert ours == pytest.approx((theirs.low, theirs.high), abs=5 * 0.038 * float(stats.sem(sample)))


def test_covers_as_often_as_documented() -> None:
    # For a mean of n normal scores about P(|t| < 1.96 sqrt((n - 1) / n)) = .846 at n = 5, in place of .95. Over
    # 1,500 samples the share strays by .0093; within four times that, 1 correct implementation in 10^4 would fail.
    n, samples = 5, 1500
    expected = 1 - 2 * stats.t.sf(stats.norm.ppf(0.975) * math.sqrt((n - 1) / n), n - 1)
    draws = np.random.default_rng(11).normal(size=(samples, n))
    intervals = [bootstrap_interval(sample, mean, resamples=1000, seed=i) for i, sample in enumerate(draws)]
    covered = sum(interval is not None and interval.low <= 0 <= interval.high for interval in intervals)
    assert covered / samples == pytest.approx(expected, abs=4 * 0.0093)


def test_one_score_has_no_interval() -> None:
    assert bootstrap_interval([3], interquartile_mean) is None


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert bootstrap_interval([500] * 5, interquartile_mean) == Interval(500, 500)


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=12), st.sampled_from([-2, 0.5, 3]), st.integers(-9, 9))
def test_follows_a_change_of_units(scores: list[int], scale: float, shift: int) -> None:
    sample = np.array(scores, dtype=float)
    before = bootstrap_interval(sample, interquartile_mean, resamples=200)
    after = bootstrap_interval(scale * sample + shift, interquartile_mean, resamples=200)
    assert before is not None
    assert after == pytest.approx(sorted(scale * end + shift for end in before))


def test_draws_depend_on_the_seed_alone() -> None:
    before = str(np.random.get_state())
    sample = np.random.default_rng(5).normal(size=9)
    first, second, other = (bootstrap_interval(sample, mean, resamples=100, seed=seed) for seed in (1, 1, 2))
    assert first == second != other
    assert str(np.random.get_state()) == before


@pytest.mark.parametrize("scores", [[], [1, math.nan], [1, math.inf], [[1, 2], [3, 4]]])
def test_refuses_what_is_no_sample(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="one or more finite scores"):
        bootstrap_interval(scores, mean)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_refuses_a_level_that_is_no_probability(level: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        bootstrap_interval([1, 2], mean, level=level)


def test_refuses_a_statistic_that_pools_the_resamples() -> None:
    with pytest.raises(ValueError, match="last axis only"):
        bootstrap_interval([1, 2, 3], lambda samples: np.asarray(np.mean(samples)))


def test_student_s_interval_by_hand() -> None:
    # The deviation of (1, 2, 3) is 1, and t at .975 with 2 degrees of freedom 4.302653 (any table of it).
    assert t_interval([1, 2, 3]) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), rel=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_student_s_interval_agrees_with_scipy(level: float) -> None:
    sample = np.random.default_rng(5).lognormal(size=17)
    theirs = stats.t.interval(level, 16, loc=sample.mean(), scale=stats.sem(sample))
    assert t_interval(sample, level) == pytest.approx(theirs, rel=1e-12)


def test_student_s_interval_of_one_score_is_none() -> None:
    assert t_interval([3.0]) is None


@pytest.mark.parametrize("score", [2.0, 0.1])
def test_student_s_interval_of_equal_scores_has_no_width(score: float) -> None:
    found = t_interval([score] * 3)  # of three times .1 NumPy's deviation is 1.7e-17
    assert found is not None
    assert found.low == found.high == pytest.approx(score)


@pytest.mark.parametrize("scores", [[], [1.0, math.nan], [[1.0, 2.0]]])
def test_student_s_interval_refuses_what_is_no_sample(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="an interval needs"):
        t_interval(scores)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_student_s_interval_refuses_what_is_no_level(level: float) -> None:
    with pytest.raises(ValueError, match="level is a probability"):
        t_interval([1.0, 2.0], level)


@pytest.mark.parametrize("n", tiered([3, 5, 10, 20, 30], lambda n: n == 5))
def test_student_s_interval_holds_the_mean_of_normal_scores_95_percent_of_the_time(n: int) -> None:
    # Over 16,000 samples the share strays by .0017, and one point is 5.8 times that: 1 in 10^8.
    intervals = [t_interval(sample) for sample in np.random.default_rng(n).normal(size=(16_000, n))]
    covered = sum(interval is not None and interval.low <= 0 <= interval.high for interval in intervals)
    assert covered / 16_000 == pytest.approx(0.95, abs=0.01)


def test_order_statistics_by_hand() -> None:
    # P(the median lies outside) is 2 / 2^6 = .031 for the outermost of six; of ten, 2 * 11 / 2^10 = .021 for the second
    # and 2 * 56 / 2^10 = .109 for the third; the outermost of five leave 2 / 2^5 = .0625.
    assert order_statistic_interval([4, 1, 6, 2, 5, 3]) == (1, 6)
    assert order_statistic_interval([9, 4, 1, 6, 2, 0, 5, 3, 8, 7]) == (1, 8)
    assert order_statistic_interval([9, 4, 1, 6, 2, 0, 5, 3, 8, 7], level=0.85) == (2, 7)
    assert order_statistic_interval([1, 2, 3, 4, 5]) is None


@pytest.mark.parametrize("n", [6, 7, 8, 17, 30, 101])
def test_order_statistics_agree_with_scipy(n: int) -> None:
    sample = np.random.default_rng(n).normal(size=n)
    theirs = stats.quantile_test(sample, p=0.5).confidence_interval(0.95)
    assert order_statistic_interval(sample) == (theirs.low, theirs.high)


def test_order_statistics_take_a_level_that_is_met_exactly() -> None:
    assert order_statistic_interval([1, 2, 3, 4, 5], level=1 - 2 / 2**5) == (1, 5)


def test_the_median_of_equal_scores_is_known_from_six_on() -> None:
    assert order_statistic_interval([2.0] * 6) == (2, 2)
    assert order_statistic_interval([2.0]) is None
