"""Names of the metrics that become curves in MLflow: checked if all metrics of a run are known."""

from typing import Any

import pytest

from pgexp.schema.errors import UserError
from pgexp.schema.names import RUN_METRICS
from pgexp.schema.parse import parse
from tests.schema.conftest import Given


def problem(config: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse(config)
    (found,) = caught.value.problems
    assert found.key == "tracking.metrics"
    return found.text


@pytest.mark.parametrize("metrics", ["all", [], ["all"], ["*"], ["evaluation/*"], ["train/return_mean", "policy/kl"]])
def test_names_and_patterns_of_metrics_are_accepted(given: Given, metrics: Any) -> None:
    assert parse(given({"tracking.metrics": metrics})).tracking.metrics == metrics


def test_unknown_metric_is_refused_with_the_nearest(given: Given) -> None:
    text = problem(given({"tracking.metrics": ["loss/policy", "loss/polcy"]}))
    assert "(got 'loss/polcy')" in text
    assert "Did you mean 'loss/policy'" in text


def test_unknown_metric_is_refused_with_all_known(given: Given) -> None:
    assert problem(given({"tracking.metrics": ["0/*"]})).endswith(f"Known: {', '.join(RUN_METRICS)}.")


def test_other_text_than_all_is_refused(given: Given) -> None:
    assert "must be one of all or a list" in problem(given({"tracking.metrics": "some"}))


def test_user_baseline_may_record_any_metric(given: Given) -> None:
    config = given({"tracking.metrics": ["baseline/level"]}) | {
        "baseline": {"_target_": "tests.execution.own.mine.Level", "level": 0.5}
    }
    assert parse(config).tracking.metrics == ["baseline/level"]
