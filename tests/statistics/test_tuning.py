"""What tuning in each environment gains, held to hand calculations and a simulation of its own."""

import numpy as np
import pytest

from pgexp.statistics.tuning import hyperparameter_sensitivity

# Scores of five settings in two environments; with five rows the percentiles 5 and 95 lie a fifth into the outer gaps.
FIRST = [0.0, 10.0, 20.0, 30.0, 40.0]  # percentiles 2 and 38
SECOND = [400.0, 300.0, 200.0, 100.0, 0.0]  # percentiles 20 and 380


def tables(*means: list[float]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Return tables of two seeds that lie evenly about each mean."""
    return [np.array(each)[:, None] + [-1.0, 1.0] for each in means]


def test_settings_that_are_best_in_one_environment_and_worst_in_the_other() -> None:
    found = hyperparameter_sensitivity(tables(FIRST, SECOND), [range(5), range(5)])
    best = 38 / 36  # (40 - 2) / 36 = (400 - 20) / 360
    assert found.tuned == pytest.approx(best)
    assert found.fixed == pytest.approx(0.5)  # of each setting: the environments are mirror images
    assert found.sensitivity == pytest.approx(best - 0.5)


def test_one_setting_that_is_best_everywhere_needs_no_tuning() -> None:
    found = hyperparameter_sensitivity(tables(FIRST, [10 * score for score in FIRST]), [range(5), range(5)])
    assert (found.sensitivity, found.best) == (0.0, 4)
    assert found.interval is not None
    assert found.interval.low == 0.0


def test_a_method_is_judged_among_its_own_settings_and_scaled_by_all() -> None:
    found = hyperparameter_sensitivity(tables(FIRST, SECOND), [[1, 2], [1, 2]])
    gammas = np.array([[8 / 36, 18 / 36], [280 / 360, 180 / 360]])
    assert found.tuned == pytest.approx(gammas.max(axis=1).mean())
    assert found.fixed == pytest.approx(gammas.mean(axis=0).max())


def test_settings_stand_in_the_order_given_for_each_environment() -> None:
    found = hyperparameter_sensitivity(tables(FIRST, SECOND), [[0, 4], [4, 0]])
    assert found.sensitivity == pytest.approx(0.0)  # the same setting stands in other rows
    assert found.best == 1


def test_an_environment_in_which_all_are_equal_tells_nothing() -> None:
    found = hyperparameter_sensitivity(tables(FIRST, [7.0] * 5), [range(5), range(5)])
    assert found.sensitivity == 0.0


def test_a_single_seed_has_no_interval() -> None:
    found = hyperparameter_sensitivity([np.array([FIRST]).T, np.array([SECOND]).T], [range(5), range(5)])
    assert found.interval is None
    assert found.sensitivity > 0


def test_the_interval_is_as_wide_as_the_estimate_varies_over_new_seeds() -> None:
    """Its half width is within a third of what 95 % of estimates from new seeds lie within: settled by 400 of them."""
    generator = np.random.default_rng(5)

    def drawn() -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
        return [
            np.array(means)[:, None] + generator.normal(scale=0.1 * max(means), size=(5, 20))
            for means in (FIRST, SECOND)
        ]

    own = [range(5), range(5)]
    anew = [hyperparameter_sensitivity(drawn(), own, resamples=1).sensitivity for _ in range(400)]
    spread = (np.quantile(anew, 0.975) - np.quantile(anew, 0.025)) / 2
    found = hyperparameter_sensitivity(drawn(), own).interval
    assert found is not None
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=1 / 3)
