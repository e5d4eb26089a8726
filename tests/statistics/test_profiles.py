import math

import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.profiles import performance_profile


def test_shares_are_strictly_above() -> None:
    profile = performance_profile([[1, 2, 2, 5]], [0, 1, 2, 4.9, 5])
    assert profile.share.tolist() == [1, 0.75, 0.25, 0.25, 0]


def test_every_task_counts_alike() -> None:
    assert performance_profile([[0, 2], [2, 2, 2, 0, 0, 0, 0, 0]], [1]).share == (0.5 + 3 / 8) / 2


def test_the_band_of_one_task_is_the_exact_binomial_one() -> None:
    profile = performance_profile([range(10)], [-1, 2, 9], level=0.9)
    for i, above in enumerate((10, 7, 0)):
        exact = stats.binomtest(above, 10).proportion_ci(0.9, method="exact")
        assert (profile.low[i], profile.high[i]) == pytest.approx((exact.low, exact.high))


def test_tasks_with_equally_many_seeds_are_taken_together() -> None:
    profile = performance_profile([[0, 2, 2], [2, 0, 0]], [1])
    exact = stats.binomtest(3, 6).proportion_ci(0.95, method="exact")
    assert (profile.low[0], profile.high[0]) == pytest.approx((exact.low, exact.high))


def test_unequally_many_seeds_count_as_their_harmonic_number() -> None:
    # Two tasks of 2 and 6 seeds: 4 / (1 / 2 + 1 / 6) = 6, in place of 8.
    profile = performance_profile([[0, 2], [0, 0, 0, 2, 2, 2]], [1])
    exact = stats.binomtest(3, 6).proportion_ci(0.95, method="exact")
    assert (profile.low[0], profile.high[0]) == pytest.approx((exact.low, exact.high))


def test_the_simultaneous_band_holds_everywhere_at_once() -> None:
    # In 95 % for continuous scores, a little more on a grid. Over 1,500 samples the share strays by .0056, and .92
    # is five times that below: 1 in 10^6. The pointwise band holds everywhere in some 80 %.
    thresholds = np.linspace(0.02, 0.98, 49)
    samples = np.random.default_rng(8).random((1500, 10))
    profiles = [performance_profile([sample], thresholds) for sample in samples]
    held = [((p.all_low <= 1 - thresholds) & (1 - thresholds <= p.all_high)).all() for p in profiles]
    assert 0.92 < np.mean(held) < 0.985


def test_both_bands_stay_within_0_and_1_and_around_the_share() -> None:
    profile = performance_profile([[1, 2, 3]], np.linspace(0, 4, 9))
    for low, high in ((profile.low, profile.high), (profile.all_low, profile.all_high)):
        assert ((low >= 0) & (low <= profile.share) & (profile.share <= high) & (high <= 1)).all()


def test_refuses_no_task_and_nan() -> None:
    with pytest.raises(ValueError, match="one task or more"):
        performance_profile([], [1])
    with pytest.raises(ValueError, match="one or more finite scores"):
        performance_profile([[1.0, math.nan]], [1])
