"""Intervals against hand calculation, SciPy and their simulated coverage."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from pgexp.statistics.intervals import (
    FloatArray,
    blocked_mean_interval,
    mean_of_rows,
    order_statistic_interval,
    proportion_interval,
    t_interval,
    tolerance_interval,
    trimmed_t_band,
    trimmed_t_interval,
)
from tests.tiers import tiered


def test_t_interval_by_hand() -> None:
    # The deviation of (1, 2, 3) is 1, and t at .975 with 2 degrees of freedom 4.302653 (from a table).
    assert t_interval([1, 2, 3]) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), rel=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_t_interval_agrees_with_scipy(level: float) -> None:
    sample = np.random.default_rng(5).lognormal(size=17)
    theirs = stats.t.interval(level, 16, loc=sample.mean(), scale=stats.sem(sample))
    assert t_interval(sample, level) == pytest.approx(theirs, rel=1e-12)


def test_t_interval_of_one_score_is_none() -> None:
    assert t_interval([3.0]) is None


@pytest.mark.parametrize("score", [2.0, 0.1])
def test_t_interval_of_equal_scores_has_zero_width(score: float) -> None:
    found = t_interval([score] * 3)  # of three times .1 NumPy's deviation is 1.7e-17
    assert found is not None
    assert found.low == found.high == pytest.approx(score)


@pytest.mark.parametrize("scores", [[], [1.0, math.nan], [[1.0, 2.0]]])
def test_t_interval_rejects_bad_scores(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        t_interval(scores)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_intervals_reject_bad_levels(level: float) -> None:
    for interval in (t_interval, trimmed_t_band, blocked_mean_interval):
        scores = [[1.0, 2.0]] if interval is blocked_mean_interval else [1.0, 2.0]
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            interval(scores, level)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        proportion_interval(1, 2, level)


@pytest.mark.parametrize("n", tiered([3, 5, 10, 20, 30], lambda n: n == 5))
def test_t_interval_coverage(n: int) -> None:
    # Over 16,000 samples the share has a deviation of .0017; one point is 5.8 times that: 1 in 10^8.
    intervals = [t_interval(sample) for sample in np.random.default_rng(n).normal(size=(16_000, n))]
    covered = sum(interval is not None and interval.low <= 0 <= interval.high for interval in intervals)
    assert covered / 16_000 == pytest.approx(0.95, abs=0.01)


def test_order_statistic_interval_by_hand() -> None:
    # P(the median is outside) is 2 / 2^6 = .031 for the extremes of six; for ten, 2 * 11 / 2^10 = .021 for the second
    # and 2 * 56 / 2^10 = .109 for the third; for the extremes of five, 2 / 2^5 = .0625.
    assert order_statistic_interval([4, 1, 6, 2, 5, 3]) == (1, 6)
    assert order_statistic_interval([9, 4, 1, 6, 2, 0, 5, 3, 8, 7]) == (1, 8)
    assert order_statistic_interval([9, 4, 1, 6, 2, 0, 5, 3, 8, 7], level=0.85) == (2, 7)
    assert order_statistic_interval([1, 2, 3, 4, 5]) is None


@pytest.mark.parametrize("n", [6, 7, 8, 17, 30, 101])
def test_order_statistic_interval_agrees_with_scipy(n: int) -> None:
    sample = np.random.default_rng(n).normal(size=n)
    theirs = stats.quantile_test(sample, p=0.5).confidence_interval(0.95)
    assert order_statistic_interval(sample) == (theirs.low, theirs.high)


def test_order_statistic_interval_reaches_an_exact_level() -> None:
    assert order_statistic_interval([1, 2, 3, 4, 5], level=1 - 2 / 2**5) == (1, 5)


def test_order_statistic_interval_of_equal_scores() -> None:
    assert order_statistic_interval([2.0] * 6) == (2, 2)
    assert order_statistic_interval([2.0]) is None


def test_trimmed_t_interval_of_eight_scores_by_hand() -> None:
    # IQM 4.5 and SE^2 = 14 / 12 (see test_point_estimates); t at .975 with h - 1 = 3 degrees of freedom is 3.182446.
    reach = 3.182446 * math.sqrt(14 / 12)
    assert trimmed_t_interval([8, 1, 100, 3, -50, 4, 5, 6]) == pytest.approx((4.5 - reach, 4.5 + reach), rel=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_trimmed_t_interval_uses_students_t(level: float) -> None:
    found = trimmed_t_interval([8, 1, 100, 3, -50, 4, 5, 6], level)
    assert found == pytest.approx(stats.t.interval(level, 3, loc=4.5, scale=math.sqrt(14 / 12)), rel=1e-12)


@pytest.mark.parametrize("n", [2, 3])
def test_trimmed_t_interval_below_four_scores_is_t_interval(n: int) -> None:
    sample = np.random.default_rng(n).normal(size=n)
    assert trimmed_t_interval(sample) == pytest.approx(t_interval(sample), rel=1e-12)


def test_trimmed_t_interval_of_one_score_is_none() -> None:
    assert trimmed_t_interval([3.0]) is None


def test_trimmed_t_band_is_the_interval_at_each_index() -> None:
    scores = np.random.default_rng(4).normal(size=(3, 5, 9))
    low, high = trimmed_t_band(scores, 0.9)
    expected = [[trimmed_t_interval(sample, 0.9) for sample in row] for row in scores]
    np.testing.assert_allclose(np.stack([low, high], axis=-1), np.array(expected), rtol=1e-12)


def collapsing(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return generator.normal(size=size) - 20 * (generator.random(size) < 0.05)


def collapsing_quantile(u: float) -> float:
    """Return the quantile of normal scores of which 5 % are 20 lower, below the middle half."""
    return float(stats.norm.ppf((u - 0.05) / 0.95))


@pytest.mark.parametrize("n", [10, 20, 30])
@pytest.mark.parametrize("scores", ["normal", "lognormal", "collapsing"])
def test_trimmed_t_interval_coverage(scores: str, n: int) -> None:
    # The coverage is .928 (lognormal, n = 10) to .947: see analysis/coverage. Over 50,000 samples it has a deviation of
    # .0012, and .928 is 6.9 deviations above .92: 1 in 10^11.
    draw, quantile = {
        "normal": (np.random.Generator.normal, stats.norm.ppf),
        "lognormal": (np.random.Generator.lognormal, lambda u: math.exp(stats.norm.ppf(u))),
        "collapsing": (collapsing, collapsing_quantile),
    }[scores]
    truth = 2 * quad(quantile, 0.25, 0.75)[0]
    low, high = trimmed_t_band(draw(np.random.default_rng(n), size=(50_000, n)))
    assert ((low <= truth) & (truth <= high)).mean() >= 0.92


@pytest.mark.parametrize("n", [1, 5, 20, 400])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_proportion_interval_agrees_with_scipy(n: int, level: float) -> None:
    for successes in {0, 1, n // 3, n - 1, n}:
        theirs = stats.binomtest(successes, n).proportion_ci(level, method="exact")
        assert proportion_interval(successes, n, level) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-12)


def test_proportion_interval_closed_form() -> None:
    # (1 - p)^10 = .025
    assert proportion_interval(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    assert proportion_interval(10, 10) == pytest.approx((0.025**0.1, 1))


@pytest.mark.parametrize("n", [3, 10])
def test_proportion_interval_coverage_at_every_probability(n: int) -> None:
    # By summing the binomial over the counts whose interval holds p.
    intervals = np.array([proportion_interval(successes, n) for successes in range(n + 1)])
    for p in np.linspace(0.005, 0.995, 199):
        holds = (intervals[:, 0] <= p) & (p <= intervals[:, 1])
        assert stats.binom.pmf(np.arange(n + 1), n, p)[holds].sum() >= 0.95


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_proportion_interval_rejects_bad_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        proportion_interval(successes, n)


def test_tolerance_interval_of_ten_scores_by_hand() -> None:
    # Fewer than two of ten scores are outside a share of .9 with this probability.
    found = tolerance_interval([3, 9, 1, 8, 0, 2, 7, 4, 6, 5])
    assert found is not None
    assert (found.low, found.high, found.content) == (0, 9, 0.9)
    assert found.confidence == pytest.approx(1 - 0.9**10 - 10 * 0.9**9 * 0.1)


def test_tolerance_interval_agrees_with_wilks() -> None:
    # The sample sizes of Wilks 1941: 46 for a content of .9, 93 for .95, both at the level .95.
    for content, n in ((0.9, 46), (0.95, 93)):
        enough, few = (tolerance_interval(range(count), content) for count in (n, n - 1))
        assert enough is not None
        assert few is not None
        assert few.confidence < 0.95 <= enough.confidence


def test_tolerance_interval_is_the_narrowest() -> None:
    # By counting the scores outside a quarter, B binomial (10, 3/4): P(B <= 5) for r = 3 and P(B <= 7) for r = 4.
    tail = [sum(math.comb(10, k) * 0.75**k * 0.25 ** (10 - k) for k in range(upto + 1)) for upto in (5, 7)]
    assert 1 - tail[0] > 0.9 > 1 - tail[1]
    found = tolerance_interval(range(10), content=0.25, level=0.9)
    assert found is not None
    assert (found.low, found.high) == (2, 7)
    assert found.confidence == pytest.approx(1 - tail[0])


def test_tolerance_interval_confidence_by_simulation() -> None:
    # Over 20,000 samples the share has a deviation of at most .0035; six times that: 1 in 10^9.
    generator = np.random.default_rng(6)
    samples = np.sort(generator.random((20_000, 12)), axis=1)
    found = tolerance_interval(range(12), content=0.5, level=0.9)
    assert found is not None
    low, high = samples[:, int(found.low)], samples[:, int(found.high)]
    assert np.mean(high - low >= 0.5) == pytest.approx(found.confidence, abs=0.021)


def test_tolerance_interval_of_one_and_two_scores() -> None:
    assert tolerance_interval([1.0]) is None
    found = tolerance_interval([1.0, 2.0])
    assert found is not None
    assert found.confidence == pytest.approx(1 - 0.9**2 - 2 * 0.9 * 0.1)


@pytest.mark.parametrize("content", [0, 1, 90])
def test_tolerance_interval_rejects_a_bad_content(content: float) -> None:
    with pytest.raises(ValueError, match="content must be"):
        tolerance_interval([1, 2], content)


def blocked(scores: object) -> tuple[float, float]:
    found = blocked_mean_interval(scores)
    assert found is not None
    return found


def test_blocked_interval_of_complete_rows_is_t_interval() -> None:
    scores = np.random.default_rng(1).normal(size=(4, 7)) + np.arange(7)
    average = scores.mean(axis=0)
    expected = stats.t.interval(0.95, 6, average.mean(), stats.sem(average))
    assert blocked(scores) == pytest.approx(expected, rel=1e-12)
    assert mean_of_rows(scores) == pytest.approx(average.mean(), rel=1e-12)


def test_blocked_interval_without_shared_blocks() -> None:
    first, second = np.array([1.0, 4.0, 7.0]), np.array([10.0, 20.0, 60.0])
    scores = np.full((2, 6), np.nan)
    scores[0, :3], scores[1, 3:] = first, second
    error = np.hypot(stats.sem(first), stats.sem(second)) / 2
    expected = stats.t.interval(0.95, 2, (4 + 30) / 2, error)
    assert blocked(scores) == pytest.approx(expected, rel=1e-12)


def test_blocked_interval_uses_the_fewest_scores_of_a_row() -> None:
    first, second = np.array([1.0, 5.0]), np.array([10.0, 20.0, 60.0, 70.0])
    scores = np.full((2, 6), np.nan)
    scores[0, :2], scores[1, 2:] = first, second
    error = np.hypot(stats.sem(first), stats.sem(second)) / 2
    assert blocked(scores) == pytest.approx(stats.t.interval(0.95, 1, (3 + 40) / 2, error), rel=1e-12)


def test_rows_have_equal_weight() -> None:
    assert mean_of_rows([[1.0, 3.0, np.nan, np.nan], [10.0, 10.0, 10.0, 10.0]]) == 6.0


def test_blocked_interval_with_one_score_in_a_row_is_none() -> None:
    assert blocked_mean_interval([[1.0, 2.0], [3.0, np.nan]]) is None
    assert blocked_mean_interval([[1.0]]) is None


@pytest.mark.parametrize("scores", [[1.0, 2.0], [[]], [[1.0, np.inf]], [[1.0, 2.0], [np.nan, np.nan]]])
def test_blocked_means_reject_bad_tables(scores: list[object]) -> None:
    for function in (mean_of_rows, blocked_mean_interval):
        with pytest.raises(ValueError, match="must be a table"):
            function(scores)


def crossed(generator: np.random.Generator, samples: int) -> FloatArray:
    """Return tables ``[samples, 3, 5]`` with most of the variance from the seed; one row lacks a seed."""
    scores = generator.normal(size=(samples, 1, 5)) * 3 + generator.normal(size=(samples, 3, 5))
    scores[:, 0, 4] = np.nan
    return scores


def test_blocked_interval_coverage() -> None:
    # At least 92 % of 2,000 intervals hold the truth: with .95 a rarer failure than 1e-7. An interval for independent
    # rows holds it in 60 %.
    tables = crossed(np.random.default_rng(2), 2_000)
    found = np.array([blocked_mean_interval(table) for table in tables])
    covered = (found[:, 0] <= 0) & (found[:, 1] >= 0)
    assert 0.92 <= covered.mean() <= 0.985
