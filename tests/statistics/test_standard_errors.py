import math

import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.standard_errors import iqm_and_error, mean_and_error


def test_the_iqm_s_standard_error_by_hand() -> None:
    # Of 8 scores two go at each end; Winsorised they are (3, 3, 3, 4, 5, 6, 6, 6): their mean is 4.5 and their squared
    # deviations sum up to 3 * 2.25 + .25 + .25 + 3 * 2.25 = 14; h = 4, so that SE^2 = 14 / (4 * 3).
    value, error = iqm_and_error([8, 1, 100, 3, -50, 4, 5, 6])
    assert (value, error) == (4.5, pytest.approx(math.sqrt(14 / 12)))


@pytest.mark.parametrize("n", [4, 5, 7, 10, 23])
def test_the_iqm_s_standard_error_is_that_of_yuen_s_test(n: int) -> None:
    # SciPy's trimmed t test of x against -x has the statistic 2 T / sqrt(2 SE^2).
    sample = 3 + np.random.default_rng(n).lognormal(size=n)
    statistic = stats.ttest_ind(sample, -sample, equal_var=False, trim=0.25).statistic
    value, error = iqm_and_error(sample)
    assert math.sqrt(2) * value / error == pytest.approx(statistic, rel=1e-12)


def test_the_mean_s_standard_error_is_scipy_s() -> None:
    scores = np.random.default_rng(2).normal(size=(4, 3, 9))
    value, error = mean_and_error(scores)
    np.testing.assert_allclose(value, scores.mean(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(error, stats.sem(scores, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_scores_that_are_equal_have_no_error_at_all(n: int) -> None:
    # The deviation that NumPy gives three times .1 is 1.7e-17.
    assert mean_and_error([0.1] * n)[1] == 0
    assert iqm_and_error([[0.1] * n, [0.7] * n])[1].tolist() == [0, 0]


def test_what_is_trimmed_has_no_part_in_the_error() -> None:
    assert iqm_and_error([-1e9, 0.1, 0.1, 0.1, 7])[1] == 0


@pytest.mark.parametrize("scores", [1.0, [], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_refuses_what_has_no_error(scores: object) -> None:
    with pytest.raises(ValueError, match="two scores or more"):
        iqm_and_error(scores)
