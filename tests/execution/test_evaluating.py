"""What is told of an evaluation, and under which name."""

import math

import numpy as np
import pytest
from scipy import stats

from pgexp.execution.evaluating import Request, summarized
from pgexp.learning.evaluator import Outcome
from pgexp.schema.errors import ConfigError


def outcome(*returns: float) -> Outcome:
    count = len(returns)
    return Outcome(np.array(returns), np.arange(1, count + 1), np.arange(count) == 0)


def test_a_summary_by_hand() -> None:
    found = summarized(outcome(4.0, 0.0, 1.0, 2.0, 3.0))
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
    found = summarized(outcome(3.0))
    assert not [name for name in found if name.endswith(("low", "high"))]
    assert found["return_std"] == 0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_returns_that_are_no_numbers_are_refused(broken: float) -> None:
    with pytest.raises(ConfigError, match="no finite number in 1 of 3 episodes"):
        summarized(outcome(1.0, broken, 2.0))


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (Request(1_200, True, 0), "1200-episodes-greedy-seed-0"),
        (Request(1, False, 31), "1-episode-sampled-seed-31"),
    ],
)
def test_its_name_says_what_it_is(request_: Request, name: str) -> None:
    assert request_.name == name
