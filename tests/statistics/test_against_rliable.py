"""Agreement with rliable on the same scores; rliable/make_numbers.py wrote its numbers."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from pgexp.statistics.differences import probability_of_improvement
from pgexp.statistics.estimation import Name, estimate, estimate_across_environments

THEIRS: dict[str, Any] = json.loads((Path(__file__).parent / "rliable" / "numbers.json").read_text(encoding="utf-8"))
MATRICES = THEIRS["matrices"]


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", get_args(Name))
def test_point_estimates_are_equal(matrix: str, name: Name) -> None:
    scores = np.array(MATRICES[matrix]["scores"]).T
    found = estimate_across_environments(list(scores), name, target=1, resamples=2)
    assert found.value == pytest.approx(MATRICES[matrix]["estimates"][name], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["mean", "iqm", "optimality_gap"])
def test_estimates_of_one_environment_are_equal(name: Name) -> None:
    # rliable's median is that of the environments' means, so of one environment it is the mean.
    task = MATRICES["one task"]
    found = estimate(np.array(task["scores"])[:, 0], name, target=1)
    assert found.value == pytest.approx(task["estimates"][name], rel=1e-12)


@pytest.mark.parametrize("pair", THEIRS["pairs"])
def test_probabilities_of_improvement_are_equal(pair: str) -> None:
    x, y = (np.array(THEIRS["pairs"][pair][side]).T for side in "xy")
    found = np.mean([probability_of_improvement(*samples).probability for samples in zip(x, y, strict=True)])
    assert found == pytest.approx(THEIRS["pairs"][pair]["probability"], rel=1e-12)


def test_improvement_of_separate_samples_has_a_wider_interval() -> None:
    pair = THEIRS["pairs"]["apart"]
    assert pair["interval"] == [1, 1]
    assert probability_of_improvement(np.array(pair["x"])[:, 0], np.array(pair["y"])[:, 0]).low < 0.7
