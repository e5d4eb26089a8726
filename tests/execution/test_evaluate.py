"""Names and summaries of evaluations."""

import math

import numpy as np
import pytest
from scipy import stats

from pgexp.algorithms.evaluator import EvaluationResult
from pgexp.execution.evaluate import EvaluationRequest, summarize
from pgexp.schema.errors import UserError


def outcome(*returns: float) -> EvaluationResult:
    count = len(returns)
    return EvaluationResult(np.array(returns), np.arange(1, count + 1), np.arange(count) == 0)


def test_a_summary_by_hand() -> None:
    found = summarize(outcome(4.0, 0.0, 1.0, 2.0, 3.0))
    # Of 0, 1, 2, 3, 4 the p-th percentile, interpolated between ranks 0 to 4, is p / 25.
    percentiles = {"min": 0, "p5": 0.2, "p25": 1, "median": 2, "p75": 3, "p95": 3.8, "max": 4}
    assert {name: found[f"return_{name}"] for name in percentiles} == pytest.approx(percentiles)
    assert found["return_mean"] == 2
    assert found["return_std"] == pytest.approx(math.sqrt(2))
    assert (found["episode_length_min"], found["episode_length_mean"], found["episode_length_max"]) == (1, 3, 5)
    assert found["truncated_share"] == pytest.approx(1 / 5)
    theirs = stats.t.interval(0.95, 4, loc=2, scale=math.sqrt(2.5 / 5))
    assert (found["return_mean_low"], found["return_mean_high"]) == pytest.approx(theirs)


def test_one_episode_has_no_interval() -> None:
    found = summarize(outcome(3.0))
    assert not [name for name in found if name.endswith(("low", "high"))]
    assert found["return_std"] == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_returns_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(UserError, match=r"^env: .* in 1 of 3 episodes"):
        summarize(outcome(1.0, value, 2.0))


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (EvaluationRequest(1_200, True, 0), "1200-episodes-greedy-seed-0"),
        (EvaluationRequest(1, False, 31), "1-episode-sampled-seed-31"),
    ],
)
def test_the_name_of_an_evaluation(request_: EvaluationRequest, name: str) -> None:
    assert request_.name == name
