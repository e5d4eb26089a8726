import math

import pandas as pd
import pytest

from pgexp.comparison.comparing import compare
from pgexp.comparison.store import ComparisonError
from tests.comparison.by_hand import evaluations, seed_runs


def test_nothing_is_not_compared() -> None:
    with pytest.raises(ComparisonError, match="no runs to compare yet; train some, for example: pgexp -m"):
        compare(seed_runs({"a": [1.0]})[:0], evaluations({}))


def test_the_runs_say_why_they_are_left_out() -> None:
    runs = compare(seed_runs({"a": [1.0, math.nan]}), evaluations({})).runs
    assert runs["left_out"].tolist() == ["", "finished without a final evaluation"]


def test_each_frame_is_of_the_same_runs_and_options() -> None:
    runs = seed_runs({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]}, threshold=475)
    curves = evaluations({"a-0": [(10, 1.0), (20, 3.0)], "b-0": [(10, 1.0)]})
    comparison = compare(runs, curves, threshold=2.5, collapsed=3.0, reference="b")
    assert comparison.summary["threshold"].unique().tolist() == [2.5]
    assert comparison.summary["reached"].tolist() == [1, 0, 0]
    assert comparison.curves["threshold"].unique().tolist() == [2.5]
    assert comparison.summary["collapsed"].tolist() == comparison.collapse["collapsed"].tolist() == [2, 1, 0]
    assert comparison.differences["reference"].tolist() == ["b", "b"]
    assert comparison.best["configuration_name"].tolist() == ["c"]
    assert comparison.tasks.empty
    assert (comparison.reference, comparison.sweeps) == ("b", ["abc123"])


def test_environments_are_averaged_by_the_scale() -> None:
    runs = [seed_runs({"env=cartpole": [100.0, 200.0]}), seed_runs({"env=acrobot": [-90.0, -80.0]}, environment="A")]
    scale = pd.DataFrame({"environment": ["CartPole-v1", "A"], "low": [0.0, -100.0], "high": [500.0, 0.0]})
    comparison = compare(pd.concat(runs, ignore_index=True), evaluations({}), scale=scale)
    assert comparison.tasks["mean"].tolist() == pytest.approx([(0.3 + 0.15) / 2])


def test_what_is_irregular_is_noted() -> None:
    runs = seed_runs({"a": [1.0, 2.0, math.nan], "b": [3.0, 4.0, 5.0]})
    notes = " ".join(compare(runs, evaluations({"a-0": [(10, 1.0)], "a-1": [(20, 1.0)]})).notes)
    assert "finished without a final evaluation: 1 of 6 runs (a seed 2)" in notes
    assert "No learning curve of" in notes
    assert "Compared over the seeds that both have: b and a." in notes


def test_a_run_of_no_sweep_is_of_none() -> None:
    assert compare(seed_runs({"a": [1.0]}).assign(sweep=None), evaluations({})).sweeps == []
