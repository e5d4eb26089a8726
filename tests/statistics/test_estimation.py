"""Estimates with intervals, of one sample and across environments."""

import math
from typing import get_args

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq

from pgexp.statistics.estimation import Estimate, Method, Name, estimate, estimate_across_environments
from pgexp.statistics.intervals import Interval, t_interval, trimmed_t_interval
from tests.tiers import tiered

SCORES = np.array([3.0, 0.5, 4.5, 4.0, 2.5, 1.0, 3.5, 2.0, 1.5, 5.0])


@pytest.mark.parametrize(
    ("name", "method", "value", "interval"),
    [
        ("mean", "t", 2.75, t_interval(SCORES)),
        ("iqm", "trimmed t", 2.75, trimmed_t_interval(SCORES)),
        ("median", "order statistics", 2.75, Interval(1.0, 4.5)),
    ],
)
def test_estimate_uses_the_interval_with_the_best_coverage(
    name: Name, method: Method, value: float, interval: Interval
) -> None:
    assert estimate(SCORES, name) == Estimate(name, value, *interval, 0.95, method, 10, "")


def test_optimality_gap_is_the_mean_shortfall() -> None:
    # The shortfalls from 4 are 1, 3.5, 0, 0, 1.5, 3, .5, 2, 2.5, 0.
    low, high = t_interval([1, 3.5, 0, 0, 1.5, 3, 0.5, 2, 2.5, 0], 0.9) or (math.nan, math.nan)
    assert estimate(SCORES, "optimality_gap", 0.9, target=4) == Estimate(
        "optimality_gap", 1.4, pytest.approx(low), pytest.approx(high), 0.9, "t", 10, ""
    )


def test_optimality_gap_is_never_negative() -> None:
    found = estimate([0, 5, 9, 9, 9, 9, 9], "optimality_gap", target=6)
    assert (found.low, found.value) == (0, 1)


SAMPLES = [[7.0], [1, 2], [1, 2, 4], [0.1] * 3, [500] * 5, [500, 500, 500, 500, 480], [0, 0, 0, 0, 1, 1, 1, 1], [1] * 9]


@pytest.mark.parametrize("scores", [*SAMPLES, [0.0] * 9 + [1e-200], [1e9 + 1, 1e9, 1e9 + 2, 0]])
@pytest.mark.parametrize("name", get_args(Name))
def test_degenerate_samples_have_a_finite_interval_or_none(scores: list[float], name: Name) -> None:
    found = estimate(scores, name, target=2)
    assert math.isfinite(found.value)
    assert (found.low is None) == (found.high is None)
    if found.low is not None and found.high is not None:
        assert -math.inf < found.low <= found.high < math.inf
    assert found.low is not None or found.caveat


@pytest.mark.parametrize(
    ("scores", "name", "fragment"),
    [
        ([7], "mean", "One seed"),
        ([1, 2, 3, 4, 5], "median", "needs more than 5 seeds"),
        ([1, 2, 4], "mean", "assumes normal scores"),
        ([1, 2, 4], "iqm", "assumes normal scores"),
        ([1, 2, 4, 5], "iqm", "middle two"),
        ([0.1] * 7, "mean", "are equal"),
        ([500, 500, 500, 500, 480], "iqm", "are equal"),
        ([*range(9), 100], "mean", "look skewed"),
    ],
)
def test_caveats(scores: list[float], name: Name, fragment: str) -> None:
    assert fragment in estimate(scores, name).caveat


@pytest.mark.parametrize(
    ("scores", "name"), [([*range(9), 100], "iqm"), ([5] * 6, "median"), (range(5), "mean"), (range(5), "iqm")]
)
def test_no_caveat_for_good_samples(scores: list[float], name: Name) -> None:
    assert estimate(scores, name).caveat == ""


ENVIRONMENTS = [[1, 2, 3], [2, 2, 8], [4, 5, 6, 7, 28]]  # their means are 2, 4 and 10


@pytest.mark.parametrize(
    ("name", "value"),
    # Two of the 11 pooled scores 1 2 2 2 3 4 5 6 7 8 28 are trimmed at each end. The mean shortfalls from 5 are
    # (4 + 3 + 2) / 3, (3 + 3) / 3 and 1 / 5.
    [("mean", 16 / 3), ("median", 4), ("iqm", 29 / 7), ("optimality_gap", (3 + 2 + 0.2) / 3)],
)
def test_estimates_across_environments_by_hand(name: Name, value: float) -> None:
    found = estimate_across_environments(ENVIRONMENTS, name, target=5)
    assert (found.value, found.n, found.method) == (pytest.approx(value), 3, "stratified t")


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_of_one_environment_is_t_interval(level: float) -> None:
    # The deviation over 10,000 resamples has a relative error of 1 / sqrt(20,000) = .7 %; six times that: 1 in 10^9.
    sample = np.random.default_rng(3).normal(size=20)
    found = estimate_across_environments([sample], "mean", level)
    exact = t_interval(sample, level)
    assert exact is not None
    reach = (exact.high - exact.low) / 2
    assert (found.low, found.high) == pytest.approx(exact, abs=6 * 0.0075 * reach)


def test_interval_of_a_mean_across_environments_by_hand() -> None:
    # The environments' s^2 / n are 1 / 3 and 12 / 3, with 2 and 2 degrees of freedom: SE^2 = (1/3 + 4) / 4, and the
    # degrees of freedom are (13/3)^2 / ((1/9 + 16) / 2) by Satterthwaite.
    degrees = (13 / 3) ** 2 / ((1 / 9 + 16) / 2)
    reach = stats.t.ppf(0.975, degrees) * math.sqrt(13 / 12)
    found = estimate_across_environments([[1, 2, 3], [2, 2, 8]], "mean")
    assert (found.low, found.high) == pytest.approx((3 - reach, 3 + reach), abs=6 * 0.0075 * reach)


@pytest.mark.parametrize("name", tiered(["mean", "iqm"], lambda name: name == "iqm"))
def test_coverage_over_three_environments_with_five_seeds(name: Name) -> None:
    # The coverage is .95 by analysis/coverage. Over 1,200 suites it has a deviation of .0063, and .915 is five times
    # that below .95: 1 in 10^6.
    centres, scales = np.array([0, 1, 2]), np.array([0.2, 0.4, 0.6])

    def pooled(u: float) -> float:
        return float(brentq(lambda x: stats.norm.cdf((x - centres) / scales).mean() - u, -9, 9))

    truth = 1.0 if name == "mean" else 2 * quad(pooled, 0.25, 0.75, epsabs=1e-6)[0]
    suites = np.random.default_rng(12).normal(size=(1200, 3, 5)) * scales[:, None] + centres[:, None]
    found = [estimate_across_environments(list(suite), name, resamples=300) for suite in suites]
    covered = [one.low is not None and one.high is not None and one.low <= truth <= one.high for one in found]
    assert 0.915 < np.mean(covered) < 0.985


@pytest.mark.parametrize("name", get_args(Name))
def test_an_environment_with_one_seed_leaves_no_interval(name: Name) -> None:
    found = estimate_across_environments([[1, 2], [3]], name, target=5)
    assert (found.low, found.high, found.n) == (None, None, 1)
    assert found.caveat.startswith("1 of 2 environments")


@pytest.mark.parametrize("name", get_args(Name))
def test_environments_of_equal_scores_have_zero_width(name: Name) -> None:
    found = estimate_across_environments([[2, 2], [3, 3, 3]], name, target=5)
    assert found.low == found.value == found.high


@pytest.mark.parametrize("name", get_args(Name))
@pytest.mark.parametrize(
    "environments",
    [[[5, 5, 5], [0.1] * 7], [[1, 1, 1, 1, 2], [3, 3]], [[0, 1], [0, 0], [0.1, 0.1]], [[0] * 7 + [1e6], [1, 2, 3]]],
)
def test_degenerate_environments_have_finite_ends(name: Name, environments: list[list[float]]) -> None:
    found = estimate_across_environments(environments, name, target=5, resamples=500)
    assert found.low is not None
    assert found.high is not None
    assert np.isfinite([found.low, found.high]).all()
    assert found.low <= found.high


def test_resampling_depends_on_the_seed_only() -> None:
    first, second, other = (
        estimate_across_environments(ENVIRONMENTS, "iqm", resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == second != other


def test_caveats_across_environments() -> None:
    outlier = [[0.0, 0.0, 0.0, 0.0, 100.0], [1.0, 2.0, 3.0, 4.0, 5.0]]
    assert estimate_across_environments(outlier, "mean").caveat.startswith(
        "The scores of 1 of 2 environments look skewed"
    )
    assert estimate_across_environments(outlier, "iqm").caveat == ""
    assert "zero width" in estimate_across_environments([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], "iqm").caveat
