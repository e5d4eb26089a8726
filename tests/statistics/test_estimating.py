import math
from typing import get_args

import numpy as np
import pytest

from pgexp.statistics.bootstraps import bca_interval, studentised_interval
from pgexp.statistics.estimates import interquartile_mean, mean, median
from pgexp.statistics.estimating import Estimate, Method, Name, estimate
from pgexp.statistics.intervals import Interval, bootstrap_interval, order_statistic_interval, t_interval
from pgexp.statistics.standard_errors import iqm_and_error, mean_and_error
from pgexp.statistics.trimmed import trimmed_t_interval

SCORES = np.array([3.0, 0.5, 4.5, 4.0, 2.5, 1.0, 3.5, 2.0, 1.5, 5.0])


@pytest.mark.parametrize(
    ("name", "method", "value", "interval"),
    [
        ("mean", "t", 2.75, t_interval(SCORES)),
        ("iqm", "trimmed t", 2.75, trimmed_t_interval(SCORES)),
        ("median", "order statistics", 2.75, Interval(1.0, 4.5)),
    ],
)
def test_the_method_is_the_one_whose_coverage_holds(
    name: Name, method: Method, value: float, interval: Interval
) -> None:
    assert estimate(SCORES, name) == Estimate(name, value, *interval, 0.95, method, 10, "")


def test_the_optimality_gap_is_the_mean_shortfall() -> None:
    # Against 4 the scores fall short by 1, 3.5, 0, 0, 1.5, 3, .5, 2, 2.5, 0.
    low, high = t_interval([1, 3.5, 0, 0, 1.5, 3, 0.5, 2, 2.5, 0], 0.9) or (math.nan, math.nan)
    assert estimate(SCORES, "optimality_gap", 0.9, target=4) == Estimate(
        "optimality_gap", 1.4, pytest.approx(low), pytest.approx(high), 0.9, "t", 10, ""
    )


def test_an_optimality_gap_is_never_negative() -> None:
    found = estimate([0, 5, 9, 9, 9, 9, 9], "optimality_gap", target=6)
    assert (found.low, found.value) == (0, 1)


@pytest.mark.parametrize(
    ("name", "method", "interval"),
    [
        ("mean", "percentile", bootstrap_interval(SCORES, mean, 0.9)),
        ("mean", "BCa", bca_interval(SCORES, mean, 0.9)),
        ("mean", "studentised", studentised_interval(SCORES, mean_and_error, 0.9)),
        ("iqm", "percentile", bootstrap_interval(SCORES, interquartile_mean, 0.9)),
        ("iqm", "BCa", bca_interval(SCORES, interquartile_mean, 0.9)),
        ("iqm", "studentised", studentised_interval(SCORES, iqm_and_error, 0.9)),
        ("median", "BCa", bca_interval(SCORES, median, 0.9)),
        ("median", "order statistics", order_statistic_interval(SCORES, 0.9)),
    ],
)
def test_every_method_can_be_had(name: Name, method: Method, interval: Interval) -> None:
    found = estimate(SCORES, name, 0.9, method)
    assert (found.low, found.high, found.level, found.method) == (*interval, 0.9, method)


SAMPLES = [[7.0], [1, 2], [1, 2, 4], [0.1] * 3, [500] * 5, [500, 500, 500, 500, 480], [0, 0, 0, 0, 1, 1, 1, 1], [1] * 9]


@pytest.mark.parametrize("scores", [*SAMPLES, [0.0] * 9 + [1e-200], [1e9 + 1, 1e9, 1e9 + 2, 0]])
@pytest.mark.parametrize("name", get_args(Name))
@pytest.mark.parametrize("method", ["auto", "percentile", "BCa"])
def test_a_degenerate_sample_has_a_sound_interval_or_none(scores: list[float], name: Name, method: Method) -> None:
    found = estimate(scores, name, method=method, target=2)
    assert math.isfinite(found.value)
    assert (found.low is None) == (found.high is None)
    if found.low is not None and found.high is not None:
        assert -math.inf < found.low <= found.high < math.inf
    assert found.low is not None or found.caveat


@pytest.mark.parametrize(
    ("scores", "name", "said"),
    [
        ([7], "mean", "A single seed"),
        ([1, 2, 3, 4, 5], "median", "5 seeds are too few for an interval of the median by order statistics"),
        ([1, 2, 4], "mean", "takes the scores for normal, which 3 seeds cannot show"),
        ([1, 2, 4], "iqm", "takes the scores for normal, which 3 seeds cannot show"),
        ([1, 2, 4, 5], "iqm", "rests on the middle two"),
        ([0.1] * 7, "mean", "all equal"),
        ([500, 500, 500, 500, 480], "iqm", "all equal"),
        ([*range(9), 100], "mean", "look skewed"),
    ],
)
def test_a_caveat_is_told(scores: list[float], name: Name, said: str) -> None:
    assert said in estimate(scores, name).caveat


@pytest.mark.parametrize(
    ("scores", "name"), [([*range(9), 100], "iqm"), ([5] * 6, "median"), (range(5), "mean"), (range(5), "iqm")]
)
def test_where_the_interval_holds_there_is_no_caveat(scores: list[float], name: Name) -> None:
    assert estimate(scores, name).caveat == ""


@pytest.mark.parametrize(
    ("refused", "named", "told"),
    [
        ({"name": "mode"}, ValueError, "mean, median, iqm, optimality_gap"),
        ({"name": "median", "method": "t"}, ValueError, "order statistics, percentile, BCa"),
        ({"name": "iqm", "method": "t"}, ValueError, "trimmed t, percentile, BCa, studentised"),
        ({"name": "optimality_gap"}, ValueError, "needs a target"),
        ({"name": "mean", "level": 95}, ValueError, "strictly between"),
    ],
)
def test_refuses(refused: dict[str, object], named: type[Exception], told: str) -> None:
    with pytest.raises(named, match=told):
        estimate(SCORES, **refused)


@pytest.mark.parametrize("scores", [[], [1.0, math.nan], [[1.0, 2.0]]])
def test_refuses_what_is_no_sample(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="one or more finite scores"):
        estimate(scores, "mean")
