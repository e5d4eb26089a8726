import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.bootstraps import acceleration, bca_interval, studentised_interval
from pgexp.statistics.estimates import interquartile_mean, mean, median
from pgexp.statistics.intervals import Interval, Statistic
from pgexp.statistics.standard_errors import iqm_and_error, mean_and_error

TAIL = 0.0016  # the deviation of a share of .025 over 10,000 resamples


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bca_agrees_with_scipy(statistic: Statistic, seed: int) -> None:
    # Both ends are quantiles over 10,000 resamples, at shares of .005 to .08 after correction, and stray by some .03
    # standard errors of the statistic (see test_intervals); two by .04, and six times that for fewer than 1 in 10^8.
    sample = np.random.default_rng(seed).lognormal(size=25)
    theirs = stats.bootstrap(
        (sample,), lambda x, axis: statistic(np.moveaxis(x, axis, -1)), n_resamples=10_000, method="BCa", rng=1
    )
    ours = bca_interval(sample, statistic)
    assert ours is not None
    limits = theirs.confidence_interval
    assert ours == pytest.approx((limits.low, limits.high), abs=6 * 0.04 * float(theirs.standard_error))


def test_bca_corrects_towards_the_longer_tail() -> None:
    # Of a right-skewed sample both ends lie higher than the percentile interval's (Efron 1987).
    from pgexp.statistics.intervals import bootstrap_interval

    sample = stats.lognorm.ppf((np.arange(20) + 0.5) / 20, 1)
    corrected, plain = bca_interval(sample, mean), bootstrap_interval(sample, mean)
    assert corrected is not None
    assert plain is not None
    assert corrected.low > plain.low + 0.02
    assert corrected.high > plain.high + 0.1


def test_the_acceleration_of_a_mean_over_samples_by_hand() -> None:
    # The deviations of 2 2 8 from their mean are -2 -2 4, those of 4 5 6 7 28 are -6 -5 -4 -3 18; a score moves the
    # mean of the two means by its deviation / (2 n_i), and the 2 cancels: squares 24 / 9 and 410 / 25, cubes 48 / 27
    # and 5400 / 125.
    first, second = np.array([2.0, 2, 8]), np.array([4.0, 5, 6, 7, 28])
    left_out = [
        np.array([(5 + 10) / 2, (5 + 10) / 2, (2 + 10) / 2]),
        np.array([(4 + (50 - score) / 4) / 2 for score in second]),
    ]
    assert acceleration(left_out) == pytest.approx((48 / 27 + 5400 / 125) / (6 * (24 / 9 + 410 / 25) ** 1.5))
    assert acceleration([(12 - first) / 2]) == pytest.approx(48 / (6 * 24**1.5))


@pytest.mark.parametrize("end", [0, 1])
def test_studentised_against_all_resamples_of_five_scores(end: int) -> None:
    # The 3,125 resamples give the exact distribution of (T* - T) / SE*; the share at the quantile that was used is
    # .025 within six standard deviations: 1 in 10^9 seeds.
    sample = np.array([0.0, 1.0, 3.5, 4.5, 9.0])
    every = np.array(list(product(sample, repeat=5)))
    errors = every.std(axis=1, ddof=1) / math.sqrt(5)
    away = every.mean(axis=1) - sample.mean()
    with np.errstate(divide="ignore"):
        ratios = np.where(away == 0, 0, away / errors)
    found = studentised_interval(sample, mean_and_error)
    assert found is not None
    used = (sample.mean() - found[1 - end]) / stats.sem(sample)
    tail = 0.975 if end else 0.025
    assert np.mean(ratios < used - 1e-9) < tail + 6 * TAIL
    assert np.mean(ratios <= used + 1e-9) > tail - 6 * TAIL


def test_studentised_is_none_where_too_many_resamples_are_of_one_score() -> None:
    # Of three scores 1 in 9 resamples is of one score repeated; of the middle two of four, more still.
    assert studentised_interval([0.1, 0.2, 0.7], mean_and_error) is None
    assert studentised_interval([0.1, 0.2, 0.7, 0.8], iqm_and_error) is None


@pytest.mark.parametrize("scores", [[5, 5, 5], [0.1] * 7, [1, 1, 1, 1, 1, 1, 2], [0, 1], [0, 0, 0, 0, 0, 0, 0, 1e6]])
@pytest.mark.parametrize("statistic", [mean, median, interquartile_mean])
def test_degenerate_samples_have_finite_ends(scores: list[float], statistic: Statistic) -> None:
    found = bca_interval(scores, statistic)
    assert found is not None
    assert min(scores) - 1e-12 <= found.low <= found.high <= max(scores) + 1e-12
    for estimator in (mean_and_error, iqm_and_error):
        other = studentised_interval(scores, estimator)
        assert other is None or (np.isfinite(other).all() and other.low <= other.high)


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert bca_interval([500] * 5, interquartile_mean) == Interval(500, 500)
    assert studentised_interval([500] * 5, iqm_and_error) == Interval(500, 500)


def test_one_score_has_no_interval() -> None:
    assert bca_interval([3], mean) is None
    assert studentised_interval([3], mean_and_error) is None


def test_draws_depend_on_the_seed_alone() -> None:
    sample = np.random.default_rng(5).normal(size=9)
    first, second, other = (bca_interval(sample, mean, resamples=100, seed=seed) for seed in (1, 1, 2))
    assert first == second != other
    first, second, other = (
        studentised_interval(sample, mean_and_error, resamples=100, seed=seed) for seed in (1, 1, 2)
    )
    assert first == second != other


@pytest.mark.parametrize("scores", [[], [1, math.nan], [[1, 2], [3, 4]]])
def test_refuses_what_is_no_sample(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="one or more finite scores"):
        bca_interval(scores, mean)
    with pytest.raises(ValueError, match="one or more finite scores"):
        studentised_interval(scores, mean_and_error)
