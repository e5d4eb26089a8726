"""The bias of the best of several: held to quadrature, to counting by hand and to simulation."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from pgexp.statistics.best_of import expected_maximum, selection_bias

# Expected largest order statistics of the standard normal distribution (Harter, 1961, table 1).
HARTER = {2: 0.56419, 3: 0.84628, 5: 1.16296, 10: 1.53875, 20: 1.86748, 50: 2.24907, 100: 2.50759}


@pytest.mark.parametrize("count", HARTER)
def test_the_largest_of_normal_variables(count: int) -> None:
    assert expected_maximum(count) == pytest.approx(HARTER[count], abs=5e-6)


@pytest.mark.parametrize("count", [2, 30, 5000])
def test_the_largest_agrees_with_quadrature(count: int) -> None:
    # The mean is the integral of P(max > x) over x > 0 less that of P(max < x) over x < 0.
    above = integrate.quad(lambda x: 1 - stats.norm.cdf(x) ** count, 0, 15)[0]
    below = integrate.quad(lambda x: stats.norm.cdf(x) ** count, -15, 0)[0]
    assert expected_maximum(count) == pytest.approx(above - below, abs=1e-7)


def test_the_only_one_is_not_overstated() -> None:
    assert expected_maximum(1) == pytest.approx(0, abs=1e-12)
    assert selection_bias([[3, 5, 10]]) == pytest.approx(0, abs=0.1)


def test_two_seeds_by_hand() -> None:
    # Of (0, 2) one seed chooses and one reports. Where it is 0 that chooses, (1, 1) wins and reports 1; where it is 2,
    # (0, 2) wins and reports 0. That is 1/2 on average, where the best mean is 1. Of 2,000 halvings the average strays
    # by .011: within six times that, 1 in 5 x 10^8.
    assert selection_bias([[0, 2], [1, 1]]) == pytest.approx(0.5, abs=0.067)


def test_each_configuration_is_halved_by_itself() -> None:
    # Of (0, 2) twice: the one whose 2 chooses wins and reports 0, and where both choose by 0 the first reports 2. That
    # is 1/2 on average, where the best mean is 1. Halved alike they would report 1. The average strays by .019.
    assert selection_bias([[0, 2], [0, 2]]) == pytest.approx(0.5, abs=0.12)


def test_of_three_seeds_two_choose() -> None:
    # Of (0, 0, 3) two seeds choose: (0, 0) in one third, which lose against 1, and (0, 3) in two thirds, which win and
    # report 0. On average the report is 1/3, where the best mean is 1; it strays by .0105 over 2,000 halvings.
    assert selection_bias([[0, 0, 3], [1, 1, 1]]) == pytest.approx(2 / 3, abs=0.063)


def test_a_clear_winner_is_not_overstated() -> None:
    assert selection_bias([[10, 10, 10], [0, 1]]) == 0
    # Its own halves report its own mean, whichever they are: 11 on average, within six times 1.3 / sqrt(2,000).
    assert selection_bias([[10, 12, 11, 9, 13], [0, 1]]) == pytest.approx(0, abs=0.18)


@pytest.mark.parametrize(("n", "differ"), [(7, 0.0), (6, 1.5)])
def test_over_many_comparisons_it_is_the_bias(n: int, differ: float) -> None:
    # Of 12 configurations whose true means differ by so many standard errors (a deviation), on skewed scores. The
    # estimate less the bias that there was has a deviation of some 2 standard errors; over 200 comparisons it strays
    # by .14, and five times that is 6 in 10^7. Where they differ it may be larger, here by .25.
    generator = np.random.default_rng(n)
    truths = differ * generator.normal(size=(200, 12)) / math.sqrt(n)
    scores = truths[..., None] + (generator.exponential(size=(200, 12, n)) - 1)
    means = scores.mean(axis=-1)
    best = means.argmax(axis=-1)[:, None]
    bias = (np.take_along_axis(means, best, -1) - np.take_along_axis(truths, best, -1))[:, 0]
    estimates = np.array([selection_bias(list(each)) for each in scores], dtype=float)
    excess = math.sqrt(n) * (estimates - bias).mean()
    assert -0.7 < excess < 0.7 + 0.25 * (differ > 0)
    assert math.sqrt(n) * bias.mean() > 0.7  # no estimate at all would fail


def test_configurations_may_have_unequal_numbers_of_seeds() -> None:
    assert selection_bias([[0.0, 1], [0.0, 1, 2], [3.0, 4, 5, 4]]) == pytest.approx(0, abs=0.1)


def test_it_depends_on_the_scores_alone() -> None:
    scores = np.random.default_rng(1).normal(size=(4, 5))
    assert selection_bias(list(scores)) == selection_bias(list(scores))


def test_one_seed_tells_nothing() -> None:
    assert selection_bias([[1, 2], [3]]) is None


def test_refuses_what_are_no_scores() -> None:
    with pytest.raises(ValueError, match="the best of no configurations"):
        selection_bias([])
    with pytest.raises(ValueError, match="one or more finite scores"):
        selection_bias([[1, 2], [1, math.nan]])


def test_what_a_seed_does_to_all_configurations_chooses_none() -> None:
    # Ten configurations that are equally good and share .9 of their variance, as by equal seeds: the best mean of 8
    # is too high by 1.54 sqrt(.1 / 8) (Harter 1961). Over 200 comparisons the mean of the estimates strays by its
    # error; six times that is 2 in 10^9. Halved each by itself they are told four times as much.
    generator = np.random.default_rng(3)
    shared, own = generator.normal(size=(200, 1, 8)), generator.normal(size=(200, 10, 8))
    told = np.array(
        [selection_bias(list(each), paired=True) for each in math.sqrt(0.9) * shared + math.sqrt(0.1) * own]
    )
    error = told.std(ddof=1) / math.sqrt(200)
    assert error < 0.01
    assert told.mean() == pytest.approx(1.5388 * math.sqrt(0.1 / 8), abs=6 * error)


def test_pairs_are_halved_alike() -> None:
    # Of (0, 2) twice, one seed is 0 in both and the other 2: the first wins, and on average reports 1, its mean.
    assert selection_bias([[0, 2], [0, 2]], paired=True) == pytest.approx(0, abs=0.12)
    with pytest.raises(ValueError, match="equally many seeds"):
        selection_bias([[1, 2], [1, 2, 3]], paired=True)
