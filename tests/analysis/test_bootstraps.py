"""Bootstrap intervals of analysis/coverage against SciPy, rliable, enumeration and simulation."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.coverage.bootstraps import (
    ESTIMATORS,
    STATISTICS,
    acceleration,
    bca_interval,
    percentile_interval,
    studentised_interval,
)

NAMES = ("mean", "median", "iqm")
TAIL = 0.0016  # the deviation of a share of .025 over 10,000 resamples
NUMBERS = Path(__file__).parents[1] / "statistics" / "rliable" / "numbers.json"
MATRICES: dict[str, Any] = json.loads(NUMBERS.read_text(encoding="utf-8"))["matrices"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(25,), (12, 25, 18)])
def test_bca_agrees_with_scipy(name: str, sizes: tuple[int, ...]) -> None:
    # Both ends are quantiles over 10,000 resamples with an error of about .03 standard errors of the statistic; two
    # differ by .04, and six times that has a probability below 1 in 10^8.
    generator = np.random.default_rng(6)
    samples = [generator.lognormal(size=size) * scale for size, scale in zip(sizes, (1.0, 2.0, 1.5), strict=False)]

    def statistic(*samples: Any, axis: int = -1) -> Any:
        if name == "iqm":
            leading = np.broadcast_shapes(*(sample.shape[:-1] for sample in samples))
            pool = [np.broadcast_to(sample, (*leading, sample.shape[-1])) for sample in samples]
            return stats.trim_mean(np.concatenate(pool, axis=-1), 0.25, axis=-1)
        if len(samples) == 1:
            return samples[0].mean(axis=axis) if name == "mean" else np.median(samples[0], axis=axis)
        means = [sample.mean(axis=axis) for sample in samples]
        return sum(means) / len(means) if name == "mean" else np.median(np.stack(np.broadcast_arrays(*means)), axis=0)

    theirs = stats.bootstrap(samples, statistic, n_resamples=10_000, method="BCa", rng=1, vectorized=True, axis=-1)
    limits, reach = theirs.confidence_interval, 6 * 0.04 * float(theirs.standard_error)
    assert bca_interval(samples, STATISTICS[name]) == pytest.approx((limits.low, limits.high), abs=reach)


def test_bca_shifts_towards_the_longer_tail() -> None:
    # Both ends of a right-skewed sample's interval are above those of the percentile interval (Efron 1987).
    sample = [stats.lognorm.ppf((np.arange(20) + 0.5) / 20, 1)]
    corrected, plain = bca_interval(sample, STATISTICS["mean"]), percentile_interval(sample, STATISTICS["mean"])
    assert corrected.low > plain.low + 0.02
    assert corrected.high > plain.high + 0.1


def test_acceleration_by_hand() -> None:
    # The deviations of 2 2 8 from their mean are -2 -2 4, those of 4 5 6 7 28 are -6 -5 -4 -3 18. A score changes the
    # mean of both means by its deviation / (2 n_i), and the 2 cancels: squares 24 / 9 and 410 / 25, cubes 48 / 27 and
    # 5400 / 125.
    first, second = np.array([2.0, 2, 8]), np.array([4.0, 5, 6, 7, 28])
    left_out = [
        np.array([(5 + 10) / 2, (5 + 10) / 2, (2 + 10) / 2]),
        np.array([(4 + (50 - score) / 4) / 2 for score in second]),
    ]
    assert acceleration(left_out) == pytest.approx((48 / 27 + 5400 / 125) / (6 * (24 / 9 + 410 / 25) ** 1.5))
    assert acceleration([(12 - first) / 2]) == pytest.approx(48 / (6 * 24**1.5))


@pytest.mark.parametrize("samples", [[[0.0, 1.0, 3.5, 4.5, 9.0]], [[0.0, 1.0, 3.5], [2.0, 2.5, 4.0, 9.0]]])
def test_studentised_against_all_resamples(samples: list[list[float]]) -> None:
    # All resamples give the exact distribution of (T* - T) / SE*. The share at each quantile in use is .025 within six
    # deviations over 10,000 resamples: 1 in 10^9 seeds.
    arrays = [np.array(sample) for sample in samples]
    every = [np.array(list(product(sample, repeat=sample.size))) for sample in arrays]
    means, variances = np.zeros(1), np.zeros(1)
    for drawn in every:
        means = np.add.outer(means, drawn.mean(axis=1)).ravel()
        variances = np.add.outer(variances, drawn.var(axis=1, ddof=1) / drawn.shape[1]).ravel()
    center = sum(sample.mean() for sample in arrays)
    error = math.sqrt(sum(stats.sem(sample) ** 2 for sample in arrays))
    deviations, errors = means - center, np.sqrt(variances)
    deviations[np.abs(deviations) < 1e-12] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(deviations == 0, 0, deviations / np.where(errors < 1e-12, 0, errors))
    found = studentised_interval(arrays, ESTIMATORS["mean"])
    assert found is not None
    for end, tail in ((found.high, 0.025), (found.low, 0.975)):
        used = (center - end * len(arrays)) / error
        assert np.mean(ratios < used - 1e-9) < tail + 6 * TAIL
        assert np.mean(ratios <= used + 1e-9) > tail - 6 * TAIL


def test_studentised_is_none_for_few_scores() -> None:
    # One of 9 resamples of three scores repeats one score; of the middle two of four scores, even more do.
    assert studentised_interval([np.array([0.1, 0.2, 0.7])], ESTIMATORS["mean"]) is None
    assert studentised_interval([np.array([0.1, 0.2, 0.7, 0.8])], ESTIMATORS["iqm"]) is None


@pytest.mark.parametrize(
    "samples",
    [
        *([[5, 5, 5]], [[0.1] * 7], [[1, 1, 1, 1, 1, 1, 2]], [[0, 1]], [[0, 0, 0, 0, 0, 0, 0, 1e6]]),
        *(
            [[5, 5, 5], [0.1] * 7],
            [[1, 1, 1, 1, 2], [3, 3]],
            [[0, 1], [0, 0], [0.1, 0.1]],
            [[0] * 7 + [1e6], [1, 2, 3]],
        ),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_degenerate_samples_have_finite_ends(samples: list[list[float]], name: str) -> None:
    arrays = [np.array(sample, dtype=float) for sample in samples]
    for method in (bca_interval, percentile_interval):
        found = method(arrays, STATISTICS[name])
        assert np.isfinite(found).all()
        assert found.low <= found.high
    if name in ESTIMATORS:
        other = studentised_interval(arrays, ESTIMATORS[name])
        assert other is None or (np.isfinite(other).all() and other.low <= other.high)


def test_equal_scores_have_zero_width() -> None:
    scores = [np.full(5, 500.0)]
    assert bca_interval(scores, STATISTICS["iqm"]) == percentile_interval(scores, STATISTICS["iqm"]) == (500, 500)
    assert studentised_interval(scores, ESTIMATORS["iqm"]) == (500, 500)


def test_percentile_interval_of_three_scores_by_enumeration() -> None:
    # The lowest means of the 27 resamples of (0, 1, 10) are 0 once and 1/3 three times, the highest 10 once and 7 three
    # times: 1/27 < .1 < 4/27, so an 80 % interval is [1/3, 7]. The share of 10,000 draws at either mean has a deviation
    # of at most .0036, 13 of which fit between 4/27 and .1: 1 in 10^30 seeds.
    means = sorted(sum(sample) / 3 for sample in product((0, 1, 10), repeat=3))
    assert (means[:4], means[-4:]) == ([0, 1 / 3, 1 / 3, 1 / 3], [7, 7, 7, 10])
    found = percentile_interval([np.array([0.0, 1, 10])], STATISTICS["mean"], level=0.8)
    assert found == pytest.approx((1 / 3, 7))


def test_percentile_interval_coverage() -> None:
    # The coverage for a mean of n normal scores is about P(|t| < 1.96 sqrt((n - 1) / n)) = .846 at n = 5. Over 1,500
    # samples it has a deviation of .0093; within four times that, 1 correct implementation in 10^4 would fail.
    n, samples = 5, 1500
    expected = 1 - 2 * stats.t.sf(stats.norm.ppf(0.975) * math.sqrt((n - 1) / n), n - 1)
    draws = np.random.default_rng(11).normal(size=(samples, n))
    intervals = [
        percentile_interval([sample], STATISTICS["mean"], resamples=1000, seed=i) for i, sample in enumerate(draws)
    ]
    covered = sum(interval.low <= 0 <= interval.high for interval in intervals)
    assert covered / samples == pytest.approx(expected, abs=4 * 0.0093)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", NAMES)
def test_percentile_intervals_agree_with_rliable(matrix: str, name: str) -> None:
    # A quantile at .025 of a normal distribution has an error of .027 deviations over our 10,000 resamples and .012
    # over their 50,000. The deviation is a quarter of the interval's width. Eight times that, since an estimate with
    # few values has an uneven density. Their median of one environment is its mean.
    scores, (low, high) = np.array(MATRICES[matrix]["scores"]).T, MATRICES[matrix]["intervals"][name]
    name = "mean" if len(scores) == 1 and name == "median" else name
    found = percentile_interval(list(scores), STATISTICS[name])
    assert found == pytest.approx((low, high), abs=8 * 0.03 * (high - low) / 4)


def test_standard_error_of_the_mean_of_means_by_hand() -> None:
    # The samples' s^2 / n are 1 / 3 and 12 / 3.
    value, error = ESTIMATORS["mean"]([np.array([1.0, 2, 3]), np.array([2.0, 2, 8])])
    assert (value, error) == pytest.approx((3, math.sqrt(13 / 3) / 2))


def test_standard_error_of_the_pooled_iqm_by_hand() -> None:
    # Two of the 11 pooled scores 1 2 2 2 3 4 5 6 7 8 28 are trimmed at each end. Winsorised at 2 and 7 the samples are
    # 2 2 3, 2 2 7 and 4 5 6 7 7 with s^2 of 1/3, 25/3 and 1.7, so SE^2 = (3/3 + 75/3 + 8.5) / 7^2.
    samples = [np.array(sample, dtype=float) for sample in ([1, 2, 3], [2, 2, 8], [4, 5, 6, 7, 28])]
    value, error = ESTIMATORS["iqm"](samples)
    assert (value, error) == pytest.approx((29 / 7, math.sqrt(34.5) / 7))


def test_standard_error_of_the_pooled_iqm_is_its_deviation() -> None:
    # To first order in 1 / n: within 1 % at 60 seeds. The deviation over 20,000 has a relative error of .5 %.
    generator = np.random.default_rng(8)
    suites = [generator.normal(center, scale, size=(20_000, n)) for center, scale, n in [(0, 1, 60), (1, 3, 40)]]
    values, errors = ESTIMATORS["iqm"](suites)
    assert math.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.01 + 6 * 0.005)
