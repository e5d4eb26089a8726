"""Selection bias against quadrature, counting by hand and simulation."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from pgexp.statistics.selection_bias import expected_maximum, selection_bias

# Expected largest order statistics of the standard normal distribution (Harter, 1961, table 1).
HARTER = {2: 0.56419, 3: 0.84628, 5: 1.16296, 10: 1.53875, 20: 1.86748, 50: 2.24907, 100: 2.50759}


@pytest.mark.parametrize("count", HARTER)
def test_expected_maximum_agrees_with_harter(count: int) -> None:
    assert expected_maximum(count) == pytest.approx(HARTER[count], abs=5e-6)


@pytest.mark.parametrize("count", [2, 30, 5000])
def test_expected_maximum_agrees_with_quadrature(count: int) -> None:
    # The mean is the integral of P(max > x) over x > 0 less that of P(max < x) over x < 0.
    above = integrate.quad(lambda x: 1 - stats.norm.cdf(x) ** count, 0, 15)[0]
    below = integrate.quad(lambda x: stats.norm.cdf(x) ** count, -15, 0)[0]
    assert expected_maximum(count) == pytest.approx(above - below, abs=1e-7)


def test_one_configuration_has_no_bias() -> None:
    assert expected_maximum(1) == pytest.approx(0, abs=1e-12)
    assert selection_bias([[3, 5, 10]]) == pytest.approx(0, abs=0.1)


def test_selection_bias_of_two_seeds_by_hand() -> None:
    # One seed of (0, 2) chooses and the other reports. If 0 chooses, (1, 1) wins and reports 1; if 2 chooses, (0, 2)
    # wins and reports 0: 1/2 on average, and the best mean is 1. Over 2,000 halvings the average has a deviation of
    # .011; six times that: 1 in 5 x 10^8.
    assert selection_bias([[0, 2], [1, 1]]) == pytest.approx(0.5, abs=0.067)


def test_configurations_are_halved_independently() -> None:
    # For (0, 2) twice: a configuration whose 2 chooses wins and reports 0; if both choose by 0, the first reports 2.
    # That is 1/2 on average, and the best mean is 1. Halved alike they would report 1. The deviation is .019.
    assert selection_bias([[0, 2], [0, 2]]) == pytest.approx(0.5, abs=0.12)


def test_two_of_three_seeds_choose() -> None:
    # Two seeds of (0, 0, 3) choose: (0, 0) in one third, which lose against 1, and (0, 3) in two thirds, which win and
    # report 0. The average report is 1/3, and the best mean is 1; the deviation is .0105 over 2,000 halvings.
    assert selection_bias([[0, 0, 3], [1, 1, 1]]) == pytest.approx(2 / 3, abs=0.063)


def test_a_clear_winner_has_no_bias() -> None:
    assert selection_bias([[10, 10, 10], [0, 1]]) == 0
    # All halves report 11 on average, within six times 1.3 / sqrt(2,000).
    assert selection_bias([[10, 12, 11, 9, 13], [0, 1]]) == pytest.approx(0, abs=0.18)


@pytest.mark.parametrize(("n", "differ"), [(7, 0.0), (6, 1.5)])
def test_selection_bias_agrees_with_simulated_bias(n: int, differ: float) -> None:
    # 12 configurations with true means that differ by `differ` standard errors, on skewed scores. The estimate minus
    # the true bias has a deviation of about 2 standard errors, over 200 comparisons .14; five times that: 6 in 10^7. If
    # the means differ, the estimate may be larger, here by .25.
    generator = np.random.default_rng(n)
    truths = differ * generator.normal(size=(200, 12)) / math.sqrt(n)
    scores = truths[..., None] + (generator.exponential(size=(200, 12, n)) - 1)
    means = scores.mean(axis=-1)
    best = means.argmax(axis=-1)[:, None]
    bias = (np.take_along_axis(means, best, -1) - np.take_along_axis(truths, best, -1))[:, 0]
    estimates = np.array([selection_bias(list(each)) for each in scores], dtype=float)
    excess = math.sqrt(n) * (estimates - bias).mean()
    assert -0.7 < excess < 0.7 + 0.25 * (differ > 0)
    assert math.sqrt(n) * bias.mean() > 0.7  # an estimate of 0 would fail


def test_unequal_numbers_of_seeds() -> None:
    assert selection_bias([[0.0, 1], [0.0, 1, 2], [3.0, 4, 5, 4]]) == pytest.approx(0, abs=0.1)


def test_one_seed_gives_no_estimate() -> None:
    assert selection_bias([[1, 2], [3]]) is None


def test_bad_scores_are_rejected() -> None:
    with pytest.raises(ValueError, match="one configuration or more"):
        selection_bias([])
    with pytest.raises(ValueError, match="finite numbers"):
        selection_bias([[1, 2], [1, math.nan]])


def test_shared_seed_effects_do_not_bias_paired_estimates() -> None:
    # Ten equally good configurations share .9 of their variance, as with equal seeds: the best mean of 8 is too high by
    # 1.54 sqrt(.1 / 8) (Harter 1961). Six standard errors of the mean over 200 comparisons: 2 in 10^9. Independent
    # halves would give four times as much.
    generator = np.random.default_rng(3)
    shared, own = generator.normal(size=(200, 1, 8)), generator.normal(size=(200, 10, 8))
    estimates = np.array(
        [selection_bias(list(each), paired=True) for each in math.sqrt(0.9) * shared + math.sqrt(0.1) * own]
    )
    error = estimates.std(ddof=1) / math.sqrt(200)
    assert error < 0.01
    assert estimates.mean() == pytest.approx(1.5388 * math.sqrt(0.1 / 8), abs=6 * error)


def test_paired_configurations_are_halved_alike() -> None:
    # For (0, 2) twice, one seed is 0 in both and the other 2: the first wins and reports its mean, 1, on average.
    assert selection_bias([[0, 2], [0, 2]], paired=True) == pytest.approx(0, abs=0.12)
    with pytest.raises(ValueError, match="equally many seeds"):
        selection_bias([[1, 2], [1, 2, 3]], paired=True)
