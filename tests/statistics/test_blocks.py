"""The mean over rows whose blocks share their luck, held to closed forms, SciPy and a simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pgexp.statistics.blocks import block_interval, mean_of_rows, resampled_means

FloatArray = NDArray[np.float64]


def interval(scores: object) -> tuple[float, float]:
    found = block_interval(scores)
    assert found is not None
    return found


def test_where_every_row_has_every_block_it_is_students_of_the_blocks_averages() -> None:
    scores = np.random.default_rng(1).normal(size=(4, 7)) + np.arange(7)
    average = scores.mean(axis=0)
    expected = stats.t.interval(0.95, 6, average.mean(), stats.sem(average))
    assert interval(scores) == pytest.approx(expected, rel=1e-12)
    assert mean_of_rows(scores) == pytest.approx(average.mean(), rel=1e-12)


def test_where_no_block_is_in_two_rows_it_is_that_of_independent_means() -> None:
    first, second = np.array([1.0, 4.0, 7.0]), np.array([10.0, 20.0, 60.0])
    scores = np.full((2, 6), np.nan)
    scores[0, :3], scores[1, 3:] = first, second
    error = np.hypot(stats.sem(first), stats.sem(second)) / 2
    expected = stats.t.interval(0.95, 2, (4 + 30) / 2, error)
    assert interval(scores) == pytest.approx(expected, rel=1e-12)


def test_the_row_of_the_fewest_scores_says_how_far_the_deviation_is_known() -> None:
    first, second = np.array([1.0, 5.0]), np.array([10.0, 20.0, 60.0, 70.0])
    scores = np.full((2, 6), np.nan)
    scores[0, :2], scores[1, 2:] = first, second
    error = np.hypot(stats.sem(first), stats.sem(second)) / 2
    assert interval(scores) == pytest.approx(stats.t.interval(0.95, 1, (3 + 40) / 2, error), rel=1e-12)


def test_each_row_counts_alike_whatever_the_number_of_its_scores() -> None:
    assert mean_of_rows([[1.0, 3.0, np.nan, np.nan], [10.0, 10.0, 10.0, 10.0]]) == 6.0


def test_a_row_of_one_score_has_no_interval() -> None:
    assert block_interval([[1.0, 2.0], [3.0, np.nan]]) is None
    assert block_interval([[1.0]]) is None


@pytest.mark.parametrize("scores", [[1.0, 2.0], [[]], [[1.0, np.inf]], [[1.0, 2.0], [np.nan, np.nan]]])
def test_what_is_no_table_of_scores_is_refused(scores: list[object]) -> None:
    for function in (mean_of_rows, block_interval):
        with pytest.raises(ValueError, match="rows of scores are wanted"):
            function(scores)


def test_a_level_is_a_probability() -> None:
    with pytest.raises(ValueError, match="level is a probability"):
        block_interval([[1.0, 2.0]], 95)


def crossed(generator: np.random.Generator, samples: int) -> FloatArray:
    """Return tables ``[samples, 3, 5]`` of which a seed's luck is most of the variance; one row lacks a seed."""
    scores = generator.normal(size=(samples, 1, 5)) * 3 + generator.normal(size=(samples, 3, 5))
    scores[:, 0, 4] = np.nan
    return scores


def test_it_covers_the_truth_where_seeds_share_their_luck() -> None:
    """Of 2,000 intervals 92 % or more hold it: with .95 a rarer event than 1e-7. Taken for independent, 60 % do."""
    tables = crossed(np.random.default_rng(2), 2_000)
    found = np.array([block_interval(table) for table in tables])
    covered = (found[:, 0] <= 0) & (found[:, 1] >= 0)
    assert 0.92 <= covered.mean() <= 0.985


def test_resampled_means_draw_each_block_for_all_rows_together() -> None:
    scores = np.array([[0.0, 1.0, 5.0], [10.0, 11.0, 15.0]])
    means = resampled_means(scores, resamples=500, seed=3)
    assert means.shape == (500, 2)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 10, rtol=1e-12)
    possible = {sum(draw) / 3 for draw in np.array(np.meshgrid(*[scores[0]] * 3)).reshape(3, -1).T.tolist()}
    assert {round(mean, 9) for mean in means[:, 0].tolist()} == {round(mean, 9) for mean in possible}


def test_a_row_without_a_score_in_a_sample_has_its_mean_there() -> None:
    means = resampled_means([[1.0, 2.0], [7.0, np.nan]], resamples=200, seed=4)
    assert (means[:, 1] == 7).all()
