"""The same numbers as rliable on the same score matrices: see rliable/make_numbers.py, which wrote its own."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from pgexp.statistics.estimating import Name, estimate
from pgexp.statistics.improvement import probability_of_improvement
from pgexp.statistics.profiles import performance_profile
from pgexp.statistics.tasks import estimate_over_tasks

THEIRS: dict[str, Any] = json.loads((Path(__file__).parent / "rliable" / "numbers.json").read_text(encoding="utf-8"))
MATRICES = THEIRS["matrices"]


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", get_args(Name))
def test_point_estimates_are_equal(matrix: str, name: Name) -> None:
    tasks = np.array(MATRICES[matrix]["scores"]).T
    found = estimate_over_tasks(list(tasks), name, target=1, resamples=2)
    assert found.value == pytest.approx(MATRICES[matrix]["estimates"][name], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["mean", "iqm", "optimality_gap"])
def test_a_single_task_is_a_sample(name: Name) -> None:
    # Their median over tasks is the mean, where there is one task.
    task = MATRICES["one task"]
    found = estimate(np.array(task["scores"])[:, 0], name, target=1)
    assert found.value == pytest.approx(task["estimates"][name], rel=1e-12)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", get_args(Name))
def test_percentile_intervals_agree_within_monte_carlo_error(matrix: str, name: Name) -> None:
    # A quantile at .025 strays by sqrt(.025 * .975 / resamples) over the density there, of a normal distribution
    # .058 per deviation: by .027 deviations over our 10,000 resamples, by .012 over their 50,000. The deviation is a
    # quarter of the interval's width; where an estimate takes few values its density is uneven, hence eight times that.
    tasks, (low, high) = np.array(MATRICES[matrix]["scores"]).T, MATRICES[matrix]["intervals"][name]
    found = estimate_over_tasks(list(tasks), name, method="percentile", target=1)
    assert (found.low, found.high) == pytest.approx((low, high), abs=8 * 0.03 * (high - low) / 4)


@pytest.mark.parametrize("matrix", MATRICES)
def test_performance_profiles_are_equal(matrix: str) -> None:
    tasks = np.array(MATRICES[matrix]["scores"]).T
    found = performance_profile(list(tasks), THEIRS["thresholds"])
    np.testing.assert_allclose(found.share, MATRICES[matrix]["profile"], atol=1e-12)


@pytest.mark.parametrize("pair", THEIRS["pairs"])
def test_probabilities_of_improvement_are_equal(pair: str) -> None:
    x, y = (np.array(THEIRS["pairs"][pair][side]).T for side in "xy")
    found = np.mean([probability_of_improvement(*samples).probability for samples in zip(x, y, strict=True)])
    assert found == pytest.approx(THEIRS["pairs"][pair]["probability"], rel=1e-12)


def test_samples_that_lie_apart_leave_them_no_doubt_and_us_some() -> None:
    pair = THEIRS["pairs"]["apart"]
    assert pair["interval"] == [1, 1]
    assert probability_of_improvement(np.array(pair["x"])[:, 0], np.array(pair["y"])[:, 0]).low < 0.7
